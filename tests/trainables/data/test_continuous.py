"""What a station has recorded without gaps and without dead time comes out of files as it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime

from trainables.data.continuous import open_continuous

START = UTCDateTime(2020, 1, 1)


def written(
    folder: Path,
    station: str = "ST00",
    spans: Sequence[tuple[float, float]] = ((0, 300),),
    components: str = "ENZ",
    dead: tuple[float, float] | None = None,
    rate_hz: float = 100,
) -> Path:
    """A file of a station, by default five minutes of noise that says its seed; `dead`: seconds that are constant."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = obspy.Stream()
    for number, component in enumerate(components):
        for since, until in spans:
            data = np.random.default_rng([number, int(since)]).integers(-9999, 9999, round((until - since) * rate_hz))
            if dead:
                data[round((dead[0] - since) * rate_hz) : round((dead[1] - since) * rate_hz)] = 5
            header = {"network": "XX", "station": station, "channel": f"HH{component}", "sampling_rate": rate_hz}
            stream += obspy.Trace(data.astype(np.int32), header | {"starttime": START + since})
    stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return folder


def seconds(found) -> list[tuple[float, float]]:
    return [(UTCDateTime(ns=one.start_ns) - START, UTCDateTime(ns=one.end_ns) - START) for one in found.stretches]


def test_gaps_stay_gaps_and_samples_are_those_recorded(tmp_path):
    found = open_continuous([written(tmp_path, spans=((0, 100), (160, 300)))])
    assert seconds(found) == [(0, 100), (160, 300)]
    east_T = np.random.default_rng([0, 160]).integers(-9999, 9999, 14000)
    np.testing.assert_array_equal(found.read(found.stretches[1], 200, 900)[0], east_T[200:900])
    parts = [block_XT for _, block_XT in found.blocks(found.stretches[1], block_samples=6000)]
    assert [part.shape for part in parts] == [(3, 6000), (3, 6000), (3, 2000)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1)[0], east_T)


def test_time_in_which_no_component_lives_is_left_out(tmp_path):
    found = open_continuous([written(tmp_path, dead=(100, 200))])
    (begin, end), (again, last) = seconds(found)  # what is flat is found in steps of ten seconds of each block
    assert (begin, last) == (0, 300)
    assert 100 <= end <= 110
    assert 190 <= again <= 200


def test_a_component_that_is_not_there_is_zero_and_said(tmp_path):
    written(tmp_path, "ST01")
    found = open_continuous([written(tmp_path, "ST00", components="Z")])
    alone, whole = found.stretches
    assert not found.read(alone, 0, 500)[:2].any()
    assert found.read(alone, 0, 500)[2].any()
    assert found.read(whole, 0, 500).any(axis=1).all()
    assert any("no components E, N" in line for line in found.said)


def test_other_rates_are_resampled_and_said_once(tmp_path):
    written(tmp_path, "ST01", rate_hz=50)
    found = open_continuous([written(tmp_path, "ST00", rate_hz=50)])
    assert [one.num_samples for one in found.stretches] == [30000, 30000]
    assert [line for line in found.said if "resampled" in line] == [
        "XX.ST00..HH: resampled from 50 to 100 Hz, and 1 more like it"
    ]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder.mkdir(), "no files in this folder"),
        (lambda folder: written(folder, components="Z"), "no instrument has three components"),
        (lambda folder: written(folder, dead=(0, 300)), "flat"),
        (lambda folder: written(folder, spans=((0, 20),)), "no waveforms that are not dead for 30 s"),
        (lambda folder: None, "no such file or folder"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, make, said):
    make(tmp_path / "streams")
    with pytest.raises(ValueError, match=said) as raised:
        open_continuous([tmp_path / "streams"])
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("data.streams=")


def test_an_hour_of_a_real_station(shared_data):
    file = shared_data / "real_data/continuous/iquique_cx/CX.PB01.20140301T02.mseed"
    found = open_continuous([file])
    (stretch,) = found.stretches
    assert (stretch.station, stretch.instrument, round(stretch.seconds)) == ("CX.PB01", "CX.PB01..HH", 3600)
    recorded = obspy.read(str(file)).select(channel="HHN")[0]
    offset = round((stretch.start_ns - recorded.stats.starttime.ns) / 1e7)
    np.testing.assert_array_equal(found.read(stretch, 1000, 4000)[1], recorded.data[1000 + offset : 4000 + offset])
