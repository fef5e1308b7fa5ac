"""Continuous synthetic waveforms: files that ObsPy reads, without gaps, the same for the same seed."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

from trainables.data.synthetic_streams import write_streams


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams") / "a"
    write_streams(folder, hours=1, stations=2)
    return folder


@pytest.fixture(scope="module")
def stream(folder):
    return obspy.read(str(folder / "*.mseed"))


def test_each_station_has_three_components_of_whole_hours_without_a_gap(stream):
    assert sorted(trace.id for trace in stream) == [
        f"SX.SY{station:02d}..HH{component}" for station in (0, 1) for component in "ENZ"
    ]
    assert {trace.stats.npts for trace in stream} == {360_000}
    assert {trace.stats.sampling_rate for trace in stream} == {100.0}


def test_earthquakes_stand_out_of_the_noise_at_all_stations_at_once(stream):
    """By the ratio of the peak of 10 s to the median of such peaks."""
    peaks = []
    for station in ("SY00", "SY01"):
        (vertical,) = stream.select(station=station, channel="HHZ").copy().filter("highpass", freq=2)
        peak_N = np.abs(vertical.data.reshape(-1, 1000)).max(axis=1)
        peaks.append(peak_N > 5 * np.median(peak_N))
    assert min(high_N.sum() for high_N in peaks) > 5
    assert (peaks[0] & peaks[1]).sum() > 3 * peaks[0].sum() * peaks[1].sum() / len(peaks[0])


def test_no_step_marks_where_two_blocks_meet(stream):
    for trace in stream.select(channel="HHZ"):
        joints = np.arange(5500, 360_000 - 6000, 5500)
        around = np.abs(np.diff(trace.data.astype(float)))
        assert np.median(around[joints]) < 2 * np.median(around)


def test_a_seed_says_everything_and_a_folder_in_use_is_refused(folder, stream, tmp_path):
    write_streams(tmp_path / "b", hours=1, stations=2)
    for trace, same in zip(stream, obspy.read(str(tmp_path / "b" / "*.mseed")), strict=True):
        np.testing.assert_array_equal(trace.data, same.data)
    with pytest.raises(ValueError, match="exists and is not empty"):
        write_streams(folder)
