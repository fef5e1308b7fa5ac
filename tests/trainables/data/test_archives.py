"""What lies in files, folders, SeisComP archives and on servers comes out as it was recorded."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy import UTCDateTime

from trainables.data.archives import FileArchive, SdsArchive, merged, open_archive

MIDNIGHT = UTCDateTime(2014, 5, 2)
PICKS = pd.DataFrame({"station": ["PB01"], "time_ns": [MIDNIGHT.ns]})


@pytest.fixture
def stream() -> obspy.Stream:
    """Two hours around midnight of three channels with a gap of ten minutes before, each sample telling itself."""
    traces = []
    for number, component in enumerate("ENZ"):
        for since, until in ((-3600, -1800), (-1200, 3600)):
            data = (np.arange(since * 20, until * 20) + number * 1_000_000).astype(np.int32)
            header = {"network": "CX", "station": "PB01", "channel": f"HH{component}", "sampling_rate": 20.0}
            traces.append(obspy.Trace(data, header | {"starttime": MIDNIGHT + since}))
    return obspy.Stream(traces)


def write_sds(stream: obspy.Stream, root: Path) -> Path:
    for trace in stream:
        for day in (MIDNIGHT - 86400, MIDNIGHT):
            part = trace.slice(day, day + 86400 - 0.05, nearest_sample=False)
            if part.stats.npts:
                folder = root / str(day.year) / "CX/PB01" / f"{trace.stats.channel}.D"
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / f"{trace.id}.D.{day.year}.{day.julday:03d}"
                before = obspy.read(str(file)) if file.exists() else obspy.Stream()
                (before + part).write(str(file), format="MSEED")
    return root


@pytest.fixture(params=["MSEED", "SAC", "sds", "many"])
def archive(request, stream, tmp_path) -> str | list[str]:
    if request.param == "sds":
        return str(write_sds(stream, tmp_path / "sds"))
    if request.param == "MSEED":
        stream.write(str(tmp_path / "a.mseed"), format="MSEED", reclen=512)
        return str(tmp_path / "a.mseed")
    for number, trace in enumerate(stream):
        trace.write(str(tmp_path / f"{number}.{request.param}"), format="SAC" if request.param == "SAC" else "MSEED")
    return [str(file) for file in sorted(tmp_path.iterdir())] if request.param == "many" else str(tmp_path)


def test_samples_between_two_times(archive, stream):
    opened = pickle.loads(pickle.dumps(open_archive(archive, PICKS)))
    for start, end in ((-1500.0, 700.0), (-10.0, 10.0), (-3600.0, -3500.0), (3599.0, 4000.0)):
        found = opened.read("CX.PB01.", MIDNIGHT + start, MIDNIGHT + end).merge(-1).sort()
        expected = stream.slice(MIDNIGHT + start, MIDNIGHT + end).copy().sort()
        assert [(t.id, t.stats.starttime) for t in found] == [(t.id, t.stats.starttime) for t in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one.data, other.data)
    assert not opened.read("CX.PB01.", MIDNIGHT - 1700, MIDNIGHT - 1300)
    assert not opened.read("CX.PB02.", MIDNIGHT - 10, MIDNIGHT)
    assert len(opened.read("*.PB01.*", MIDNIGHT - 10, MIDNIGHT - 5)) == 3


def test_spans_say_where_a_station_may_be_recorded(archive):
    spans = open_archive(archive, PICKS).spans()
    if "sds" in str(archive):
        assert spans == {"CX.PB01": [(MIDNIGHT - 86400, MIDNIGHT + 86400)]}
    else:
        assert spans == {"CX.PB01": [(MIDNIGHT - 3600, MIDNIGHT - 1800), (MIDNIGHT - 1200, MIDNIGHT + 3600)]}


def test_broken_files_are_named_responses_counted_and_the_others_read(stream, tmp_path):
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    (tmp_path / "broken.mseed").write_bytes(b"no waveform" * 100)
    (tmp_path / "station.xml").write_text("<FDSNStationXML/>")
    (tmp_path / "RESP.CX.PB01..HHZ").write_text("#")
    opened = FileArchive.of(sorted(tmp_path.iterdir()))
    assert list(opened.failed) == [str(tmp_path / "broken.mseed")]
    assert opened.num_responses == 2
    (tmp_path / "a.mseed").write_bytes(b"\0" * 50_000)
    assert not opened.read("CX.PB01.", MIDNIGHT, MIDNIGHT + 5)
    assert str(tmp_path / "a.mseed") in opened.failed


def test_a_file_that_was_cut_off_is_named_and_the_rest_of_it_is_read(stream, tmp_path):
    stream.write(str(tmp_path / "a.mseed"), format="MSEED", reclen=512)
    (tmp_path / "a.mseed").write_bytes((tmp_path / "a.mseed").read_bytes()[:-100])
    opened = FileArchive.of([tmp_path / "a.mseed"])
    assert opened.failed == {f"part of {tmp_path}/a.mseed": "its last record is cut off: 412 of 512 bytes"}
    assert {t.stats.channel for t in opened.read("CX.PB01.", MIDNIGHT, MIDNIGHT + 5)} == {"HHE", "HHN", "HHZ"}


def test_a_broken_day_of_an_sds_is_named(stream, tmp_path):
    root = write_sds(stream, tmp_path / "sds")
    broken = root / "2014/CX/PB01/HHE.D/CX.PB01..HHE.D.2014.122"
    broken.write_bytes(b"no waveform" * 100)
    opened = SdsArchive(root)
    assert {t.stats.channel for t in opened.read("CX.PB01.", MIDNIGHT, MIDNIGHT + 5)} == {"HHN", "HHZ"}
    assert list(opened.failed) == [str(broken)]


def test_a_file_whose_name_is_no_day_says_no_span(stream, tmp_path):
    root = write_sds(stream, tmp_path / "sds")
    for name in ("CX.PB01..HHE.D.2014.000", "CX.PB01..HHE.D.2014.367", "CX.PB01..HHE.D.2014.122.bak", "notes"):
        (root / "2014/CX/PB01/HHE.D" / name).write_text("")
    assert open_archive(str(root), PICKS).spans() == {"CX.PB01": [(MIDNIGHT - 86400, MIDNIGHT + 86400)]}


def test_what_is_no_archive_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder of waveforms"):
        open_archive(str(tmp_path / "nowhere"), PICKS)
    with pytest.raises(ValueError, match="no files in this folder"):
        open_archive(str(tmp_path), PICKS)
    (tmp_path / "station.xml").write_text("<FDSNStationXML/>")
    with pytest.raises(ValueError, match=r"no waveforms in the archive \(no files but responses\)"):
        open_archive(str(tmp_path), PICKS)
    with pytest.raises(ValueError, match="a server cannot be combined with others"):
        open_archive([str(tmp_path), "fdsn:http://localhost?network=CX"], PICKS)


def test_spans_that_touch_are_one():
    times = [MIDNIGHT + n for n in range(5)]
    assert merged([(times[2], times[3]), (times[0], times[1]), (times[1], times[2])]) == [(times[0], times[3])]
    assert merged([(times[0], times[1]), (times[2], times[3])]) == [(times[0], times[1]), (times[2], times[3])]


def test_channels_of_text_are_named_and_cost_no_other_one(stream, tmp_path):
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    text = np.frombuffer(b"clock locked ok. " * 50, dtype="|S1").copy()
    for channel, rate_hz in (("LOG", 0), ("ACE", 100)):
        header = {"network": "CX", "station": "PB01", "channel": channel, "starttime": MIDNIGHT}
        trace = obspy.Trace(text, {**header, "sampling_rate": rate_hz})
        trace.write(str(tmp_path / f"{channel}.mseed"), format="MSEED")
    opened = open_archive(str(tmp_path), PICKS)
    assert opened.no_waveform == {"CX.PB01..LOG", "CX.PB01..ACE"}
    assert list(opened.spans()) == ["CX.PB01"]
    assert {t.stats.channel for t in opened.read("CX.PB01.", MIDNIGHT, MIDNIGHT + 5)} == {"HHE", "HHN", "HHZ"}
    assert not opened.failed
