"""What SeisBench, PyOcto and GaMMA read of our picks."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from lifelike import picks_in
from obspy import UTCDateTime, read
from seisbench.util import Pick as SeisBenchPick
from seisbench.util import PickList

from trainables.edge.formats import TABLES, gamma, pyocto, seisbench
from trainables.edge.picking import Pick

ORIGIN = UTCDateTime(2024, 2, 29, 23, 59, 50)
"""The picks cross midnight of a leap day."""
VELOCITIES_KM_S = {"P": 6.0, "S": 3.5}


def pick(station: str, phase: str, time: UTCDateTime, probability: float = 0.8765432) -> Pick:
    channel = "HHZ" if phase == "P" else "HHN"
    return Pick("XX", station, "", phase, time, probability, time - 0.1, time + 0.2, channel)


@pytest.fixture
def stations() -> pd.DataFrame:
    """A ring of eight, as PyOcto wants them."""
    angle_N = np.arange(8) * np.pi / 4
    ids = [f"XX.S{n}." for n in range(8)]
    return pd.DataFrame({"id": ids, "x": 30 * np.cos(angle_N), "y": 30 * np.sin(angle_N), "z": 0.0})


@pytest.fixture
def picks(stations) -> list[Pick]:
    """P and S of an earthquake 10 km deep at x = 5 km, y = -3 km."""
    found = []
    for _, station in stations.iterrows():
        distance_km = ((station.x - 5) ** 2 + (station.y + 3) ** 2 + 10**2) ** 0.5
        for phase, velocity in VELOCITIES_KM_S.items():
            found.append(pick(station.id.split(".")[1], phase, ORIGIN + distance_km / velocity))
    return found


def associator():
    octo = pytest.importorskip("pyocto")
    return octo.OctoAssociator(
        xlim=(-50, 50),
        ylim=(-50, 50),
        zlim=(0, 30),
        time_before=60,
        velocity_model=octo.VelocityModel0D(VELOCITIES_KM_S["P"], VELOCITIES_KM_S["S"], tolerance=0.5),
    )


def is_the_earthquake(events: pd.DataFrame, assignments: pd.DataFrame) -> bool:
    (event,) = events.to_dict("records")
    near = np.allclose([event["x"], event["y"], event["z"]], [5, -3, 10], atol=2)
    return near and len(assignments) == 16 and abs(event["time"] - ORIGIN.timestamp) < 0.3


def test_pyocto_associates_what_it_reads(picks, stations):
    table = pd.read_csv(io.StringIO(pyocto(picks)))
    assert list(table.columns) == ["station", "phase", "time", "probability"]
    assert table.time.dtype == float
    assert table.time.tolist() == pytest.approx([p.time.timestamp for p in picks], abs=1e-6)
    assert is_the_earthquake(*associator().associate(table, stations))


def test_gamma_has_the_columns_and_units_of_its_documentation(picks, stations):
    """AI4EPS/GaMMA, docs/example_seisbench.ipynb: id NET.STA.LOC, timestamp a UTC date without a zone, prob 0 to 1,
    type p or s, in this order. PyOcto has a reader of that format too."""
    text = gamma(picks)
    assert text.splitlines()[:2] == ["id,timestamp,prob,type", "XX.S0.,2024-02-29T23:59:54.515406,0.876543,p"]
    table = pd.read_csv(io.StringIO(text), parse_dates=["timestamp"])
    assert table.timestamp.dt.tz is None
    assert table.timestamp.map(lambda time: time.timestamp()).tolist() == pytest.approx(
        [p.time.timestamp for p in picks], abs=1e-6
    )
    assert table["type"].tolist() == [p.phase.lower() for p in picks]
    kilometres = stations.rename(columns={"x": "x(km)", "y": "y(km)", "z": "z(km)"})
    assert is_the_earthquake(*associator().associate_gamma(table, kilometres))


def test_seisbench_gets_its_own_picks_back(lively, network, shared_data):
    """Every field as its `classify` gives it, of a real record."""
    file = shared_data / "real_data/continuous/PB_B916_ridgecrest_20min.mseed"
    thresholds = {f"{phase}_threshold": network.threshold(phase) for phase in network.phases}
    theirs = lively.classify(read(str(file)), **thresholds).picks
    table = pd.read_csv(io.StringIO(seisbench(picks_in(network, file))))
    assert list(table.columns) == ["trace_id", "start_time", "end_time", "peak_time", "peak_value", "phase"]
    for column in ("start_time", "end_time", "peak_time"):
        table[column] = table[column].map(UTCDateTime)
    ours = PickList(sorted(SeisBenchPick(**row) for row in table.to_dict("records")))
    assert len(ours) == len(theirs) > 20
    for a, b in zip(sorted(ours, key=_onset), sorted(theirs, key=_onset), strict=True):
        for field in ("trace_id", "phase", "start_time", "end_time", "peak_time"):
            assert getattr(a, field) == getattr(b, field), field
        assert a.peak_value == pytest.approx(b.peak_value, abs=1e-4)


def _onset(pick: SeisBenchPick) -> tuple[str, UTCDateTime]:
    return pick.phase, pick.peak_time


@pytest.mark.parametrize("name", list(TABLES))
def test_no_picks_are_a_table_without_rows(name):
    assert TABLES[name]([]).count("\n") == 1


def test_a_name_that_a_spreadsheet_would_run_is_text():
    odd = pick("ABC", "P", ORIGIN)._replace(network="=1+1")
    for name, write in TABLES.items():
        assert write([odd]).splitlines()[1].startswith("'=1+1"), name
