"""When traces of data sets were recorded, as far as their metadata say it."""

from __future__ import annotations

import pandas as pd

from trainables.data.overlaps import recorded_by

TRACES = {
    "station_network_code": ["CX", None, "CX"],
    "station_code": ["PB01", "PB02", "PB03"],
    "trace_start_time": ["2014-05-01T00:00:00.5Z", "2014-05-01 00:00:01", "unknown"],
    "trace_npts": [6000, 3000, 3000],
    "trace_sampling_rate_hz": [100, 50, 100],
}


def test_stations_and_times_in_nanoseconds():
    start_ns = pd.Timestamp("2014-05-01", tz="UTC").value
    assert recorded_by(pd.DataFrame(TRACES)) == [
        ("CX.PB01", start_ns + 500_000_000, start_ns + 60_500_000_000),
        ("PB02", start_ns + 1_000_000_000, start_ns + 61_000_000_000),
    ]


def test_metadata_without_times_say_nothing():
    assert recorded_by(pd.DataFrame(TRACES).drop(columns="trace_start_time")) == []
