"""Picks come out of every format of event files and tables as they went in."""

from __future__ import annotations

from pathlib import Path

import obspy
import pandas as pd
import pytest
from obspy import UTCDateTime
from obspy.core.event import (
    Arrival,
    Catalog,
    Event,
    Magnitude,
    Origin,
    Pick,
    ResourceIdentifier,
    WaveformStreamID,
)

from trainables.data.catalogues import read_picks

ORIGIN = UTCDateTime("2014-05-01T00:12:00.000000")
PICKS = [("PB01", "P", 3.45), ("PB01", "S", 7.12), ("PB02", "P", 5.01)]
"""Station, phase and seconds after the origin."""


def event_of(picks=PICKS, located=True, source="e1") -> Event:
    event = Event(resource_id=ResourceIdentifier(f"smi:local/event/{source}"))
    if located:
        origin = Origin(resource_id=ResourceIdentifier(f"smi:local/origin/{source}"), time=ORIGIN)
        origin.latitude, origin.longitude, origin.depth = -21.0, -69.5, 40_000.0
        event.origins, event.preferred_origin_id = [origin], origin.resource_id
        event.magnitudes = [Magnitude(mag=3.2, magnitude_type="ML", origin_id=origin.resource_id)]
    for number, (station, phase, seconds) in enumerate(picks):
        pick = Pick(
            resource_id=ResourceIdentifier(f"smi:local/pick/{source}/{number}"),
            time=ORIGIN + seconds,
            phase_hint=phase,
            waveform_id=WaveformStreamID("CX", station, "", "HHZ"),
            evaluation_mode="manual",
        )
        event.picks.append(pick)
        if located:
            event.origins[0].arrivals.append(Arrival(pick_id=pick.resource_id, phase=phase))
    return event


def as_rows(file: Path, **options) -> list[tuple[str, str, float]]:
    """Station, kind and seconds after the origin, in the order of time."""
    table = read_picks([file], **options).table
    seconds = [round((time_ns - ORIGIN.ns) / 1e9, 6) for time_ns in table["time_ns"]]
    return sorted(zip(table["station"], table["kind"], seconds, strict=True))


@pytest.mark.parametrize("format", ["QUAKEML", "SC3ML", "SCML"])
def test_event_files_that_obspy_writes_and_reads(format, tmp_path):
    Catalog([event_of()]).write(str(tmp_path / "events"), format=format)
    picks = read_picks([tmp_path / "events"])
    assert as_rows(tmp_path / "events") == sorted(PICKS)
    assert set(picks.table["network"]) == {"CX"}
    assert set(picks.table["status"]) == {"manual"}
    (source,) = picks.events.values()
    assert source["source_id"] == "smi:local/event/e1" == picks.table["event"].unique()
    assert (source["source_origin_time"], source["source_latitude_deg"]) == (str(ORIGIN), -21.0)
    assert (source["source_depth_km"], source["source_magnitude"], source["source_magnitude_type"]) == (40.0, 3.2, "ML")


NONLINLOC = """NLLOC "loc" "LOCATED" "Location completed."
SIGNATURE "test   NLLoc:v7.00.00 01Jan2020 12h00m00"
COMMENT "test"
GRID  10 10 10  -5 -5 -0.5  1 1 1 PROB_DENSITY
SEARCH OCTREE nInitial 10 nEvaluated 10 smallestNodeSide 0.1/0.1/0.1 oct_tree_integral 1 scatter_volume 1
HYPOCENTER  x 0 y 0 z 40  OT 0.0  ix -1 iy -1 iz -1
GEOGRAPHIC  OT 2014 05 01  00 12 0.000000  Lat -21.000000 Long -69.500000 Depth 40.000000
QUALITY  Pmax 1 MFmin 1 MFmax 1 RMS 0.01 Nphs 3 Gap 100 Dist 10 Mamp -9.9 0 Mdur -9.9 0
VPVSRATIO  VpVsRatio -1  Npair 0  Diff -2e+30
STATISTICS  ExpectX 0 Y 0 Z 40  CovXX 1 XY 0 XZ 0 YY 1 YZ 0 ZZ 1 EllAz1 0 Dip1 0 Len1 1 Az2 90 Dip2 0 Len2 1 Len3 1
STAT_GEOG  ExpectLat -21 Long -69.5 Depth 40
TRANSFORM  SIMPLE LatOrig -21 LongOrig -69 RotCW 0
QML_OriginQuality  assocPhCt 3 usedPhCt 3 assocStaCt -1 usedStaCt 2 depthPhCt -1 stdErr 0.01 azGap 100 secAzGap 120 \
gtLevel - minDist 10 maxDist 20 medDist 15
QML_OriginUncertainty  horUnc -1 minHorUnc 1 maxHorUnc 1 azMaxHorUnc 0
FOCALMECH  Hyp  -21 -69.5 40 Mech  0 0 0 mf  0 nObs 0
PHASE ID Ins Cmp On Pha  FM Date     HrMn   Sec     Err  ErrMag    Coda      Amp       Per  >   TTpred    Res Weight \
StaLoc(X  Y         Z)        SDist    SAzim  RAz  RDip RQual    Tcorr
{phases}
END_PHASE
END_NLLOC
"""


def test_a_hypocenter_phase_file_of_nonlinloc(tmp_path):
    line = "{:6} ?    HHZ  I {}      U 20140501 0012 {:9.4f} GAU 0.05 -1 -1 -1 > 3 0 1 0 0 0 10 100 100 -1 0 0"
    phases = "\n".join(line.format(*pick) for pick in PICKS)
    (tmp_path / "loc.hyp").write_text(NONLINLOC.format(phases=phases))
    assert as_rows(tmp_path / "loc.hyp") == sorted(PICKS)
    first, second = (read_picks([tmp_path / "loc.hyp"]) for _ in range(2))
    assert first.table.equals(second.table)  # ObsPy gives the event another id each time
    assert first.events == second.events


def test_hypodd_phases(tmp_path):
    Catalog([event_of()]).write(str(tmp_path / "hypodd.pha"), format="HYPODDPHA")
    assert as_rows(tmp_path / "hypodd.pha") == sorted(PICKS)


def card(station, minute, p_s, s_s=None, weight=" ", s_weight=" ") -> str:
    s = f"{s_s:5.2f}ES {s_weight}" if s_s is not None else ""
    return f"{station:4}IPU{weight} {minute}{p_s:5.2f}{'':7}{s}".rstrip()


def test_hypo71_phase_cards(tmp_path):
    lines = [
        card("PB01", "1405010012", 3.45, 7.12),
        card("PB02", "1405010012", 5.01, 60.5, s_weight="4"),
        " " * 17 + "10",
    ]
    lines += [card("PB1", "1405010013", 1.25, weight="4"), card("PB02", "14 5 1 013", 2.5), ""]
    (tmp_path / "phases.pha").write_text("\n".join(lines))
    picks = read_picks([tmp_path / "phases.pha"])
    assert as_rows(tmp_path / "phases.pha") == [*sorted(PICKS), ("PB02", "P", 62.5)]
    assert picks.table["event"].nunique() == 2
    assert set(picks.table["status"]) == {"manual"}
    assert picks.left_out["weight 4 (not to be used) in HYPO71"] == 2


TABLES = {
    "seisweep pick": ("network,station,location,phase,time,probability", "CX,{0},,{1},{2}Z,0.9"),
    "SeisBench": (",station,time,start_time,end_time,probability,phase", "0,CX.{0}.,{2},{2},{2},0.9,{1}"),
    "SeisBench's fields": ("trace_id,start_time,end_time,peak_time,peak_value,phase", "CX.{0}.,{2}Z,{2}Z,{2}Z,0.9,{1}"),
    "GaMMA": ("id,timestamp,prob,type,amp,event_index,gamma_score", "CX.{0}..HH,{2},0.9,{3},1e-5,7,3.1"),
    "GaMMA with tabs": ("id\ttimestamp\tprob\ttype", "CX.{0}..HH\t{2}\t0.9\t{3}"),
    "PyOcto": ("event_idx,pick_idx,residual,station,phase,time", "7,0,0.1,CX.{0}.,{1},{4:.6f}"),
    "PhaseNet": ("station_id,phase_time,phase_score,phase_type", "CX.{0}..HH,{2}+00:00,0.9,{1}"),
    "another zone": ("sta,phase,time", "CX.{0},{1},{5}"),
}


def write_table(file: Path, name: str) -> Path:
    header, line = TABLES[name]
    lines = [header]
    for station, phase, seconds in PICKS:
        time = ORIGIN + seconds
        local = (time - 4 * 3600).datetime.isoformat() + "-04:00"
        lines.append(line.format(station, phase, time.datetime.isoformat(), phase.lower(), time.ns / 1e9, local))
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, tmp_path):
    file = write_table(tmp_path / "picks.csv", name)
    picks = read_picks([file])
    assert as_rows(file) == sorted(PICKS)
    assert set(picks.table["network"]) == {"CX"}
    without_zone = name in ("SeisBench", "GaMMA", "GaMMA with tabs")
    assert picks.notes == ([f"{file}: 3 of 3 times without a time zone, read as UTC"] if without_zone else [])
    assert set(picks.table["event"]) == ({"picks-7"} if name in ("GaMMA", "PyOcto") else {""})
    assert set(picks.table["status"]) == ({""} if name in ("PyOcto", "another zone") else {"automatic"})


def test_the_table_that_seisbench_itself_writes(tmp_path):
    from seisbench.util.annotations import Pick as SeisBenchPick
    from seisbench.util.annotations import PickList

    found = PickList(
        [
            SeisBenchPick(f"CX.{station}.", start_time=ORIGIN, end_time=ORIGIN + 9, peak_time=ORIGIN + s, phase=phase)
            for station, phase, s in PICKS
        ]
    )
    found.to_dataframe().to_csv(tmp_path / "picks.csv")
    assert as_rows(tmp_path / "picks.csv") == sorted(PICKS)


def test_named_columns_and_stations_that_look_like_numbers(tmp_path):
    (tmp_path / "a.csv").write_text(
        "net,s,l,onset,ph\nNA,0012,00,2014-05-01 00:12:01.5Z,Pg\n'=X,NA,--,2014-05-01T00:13Z,Sn\n"
    )
    table = read_picks([tmp_path / "a.csv"], {"station": "s", "time": "onset", "phase": "ph", "location": "l"}).table
    assert table[["network", "station", "location", "kind"]].to_numpy().tolist() == [
        ["NA", "0012", "00", "P"],
        ["=X", "NA", "", "S"],
    ]


def test_the_same_pick_in_two_files_comes_once_and_that_of_the_catalogue_stays(tmp_path):
    Catalog([event_of()]).write(str(tmp_path / "a.xml"), format="QUAKEML")
    write_table(tmp_path / "b.csv", "seisweep pick")
    picks = read_picks([tmp_path / "b.csv", tmp_path / "a.xml"])
    assert len(picks.table) == 3
    assert picks.left_out["given twice"] == 3
    assert set(picks.table["status"]) == {"manual"}


def test_of_several_picks_of_a_phase_the_one_of_the_origin_counts_and_rejected_ones_do_not(tmp_path):
    event = event_of()
    for seconds, status in ((3.9, None), (3.5, "rejected")):
        pick = Pick(time=ORIGIN + seconds, phase_hint="P", waveform_id=WaveformStreamID("CX", "PB01", "", "HHZ"))
        pick.evaluation_status = status
        event.picks.append(pick)
    event.picks.append(Pick(time=ORIGIN + 9, phase_hint="AML", waveform_id=WaveformStreamID("CX", "PB01", "", "HHZ")))
    Catalog([event]).write(str(tmp_path / "a.xml"), format="QUAKEML")
    assert as_rows(tmp_path / "a.xml") == sorted(PICKS)
    assert read_picks([tmp_path / "a.xml"]).left_out == {
        "marked as rejected": 1,
        "the event has a better pick of this phase": 1,
        "phase AML is not asked for": 1,
    }
    assert as_rows(tmp_path / "a.xml", phases=("S",)) == [("PB01", "S", 7.12)]


def test_picks_of_a_day_in_one_event_without_an_origin_are_not_associated(tmp_path):
    day = [("PB01", "P", hour * 3600.0) for hour in range(24)]
    Catalog([event_of(day, located=False)]).write(str(tmp_path / "a.xml"), format="QUAKEML")
    picks = read_picks([tmp_path / "a.xml"])
    assert set(picks.table["event"]) == {""}
    assert picks.notes == [f"{tmp_path}/a.xml: 24 picks in one event without an origin: taken as not associated"]
    Catalog([event_of(located=False)]).write(str(tmp_path / "b.xml"), format="QUAKEML")
    assert set(read_picks([tmp_path / "b.xml"]).table["event"]) == {"smi:local/event/e1"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("what is this\n", "neither an event file that ObsPy reads, nor HYPO71 cards, nor a table"),
        ("station,phase,time\n", "no picks in it"),
        ("station,phase,time\nA,Lg,2014-01-01T00:00Z\n", "1 picks, none of them P or S"),
        (
            "station,phase,time\nA,P,2014-01-01T00:00Z\nA,P,yesterday\n",
            "line 3: yesterday is not a time; right would be",
        ),
        ("station,phase,time\nA,P,2014-01-01T00:00Z\nA,P,\n", "line 3: nothing is not a time"),
        ("station,phase,time\nA,P,1388534400123\n", "line 2: 1388534400123 is not a time; right would be"),
        ("station,phase,time\nA,P,20140101000000\n", "line 2: 20140101000000 is not a time"),
        ("station,phase,time\nA,P,inf\n", "line 2: inf is not a time"),
        ("station,phase,time\nA,P,2014-01-01T00:00Z,x\nA,P,2014-01-01T00:00Z,x,y\n", "same number of columns"),
        ("PB01IPU  1413010012 3.45\n", "line 1: no HYPO71 phase card"),
    ],
)
def test_bad_files_are_one_line(text, part, tmp_path):
    (tmp_path / "picks.txt").write_text(text)
    with pytest.raises(ValueError, match=r"picks\.txt") as error:
        read_picks([tmp_path / "picks.txt"])
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("time", "is_said"),
    [
        ("2014-01-01T00:00:00Z", False),
        ("2014-01-01T00:00:00 UTC", False),
        ("2014-01-01T09:00:00+09:00", False),
        ("2014-01-01T09:00:00+09", False),
        ("2014-01-01 00:00:00", True),
        ("2014-01-01", True),
    ],
)
def test_only_times_without_a_zone_are_said_to_be_read_as_utc(time, is_said, tmp_path):
    (tmp_path / "picks.csv").write_text(f"station,phase,time\nA,P,{time}\n")
    picks = read_picks([tmp_path / "picks.csv"])
    assert picks.table["time_ns"].tolist() == [1388534400 * 10**9]
    assert bool(picks.notes) == is_said


def test_a_catalogue_without_picks_and_a_file_that_is_not_there(tmp_path):
    Catalog([event_of([])]).write(str(tmp_path / "a.xml"), format="QUAKEML")
    with pytest.raises(ValueError, match="no picks in it"):
        read_picks([tmp_path / "a.xml"])
    with pytest.raises(ValueError, match="cannot be read \\(No such file"):
        read_picks([tmp_path / "b.xml"])
    (tmp_path / "c.csv").write_text("stat,phase,time\n")
    with pytest.raises(ValueError, match="no column of the station; it has stat, phase, time: name one by --columns"):
        read_picks([tmp_path / "c.csv"], {"time": "time"})
    with pytest.raises(ValueError, match=r"no column tine .*did you mean time"):
        read_picks([tmp_path / "c.csv"], {"time": "tine", "station": "stat"})


def test_a_waveform_file_is_no_catalogue(tmp_path):
    obspy.Stream([obspy.Trace(pd.Series(range(100)).to_numpy())]).write(str(tmp_path / "a.mseed"), format="MSEED")
    with pytest.raises(ValueError, match="neither an event file"):
        read_picks([tmp_path / "a.mseed"])
