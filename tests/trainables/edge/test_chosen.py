"""What --start, --end and --stations choose, and how wrong values are told."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy import UTCDateTime

from trainables.edge.chosen import Chosen, chosen

BEGIN = UTCDateTime(2024, 2, 29, 23, 50)


def test_patterns_are_of_stations_or_of_networks_and_stations():
    some = chosen(None, None, ["PB0?, CX.HM*", "GE.SNAA"])
    for network, station in (("CX", "PB01"), ("XX", "PB02"), ("CX", "HMBCX"), ("GE", "SNAA")):
        assert some.has_station(network, station), (network, station)
    for network, station in (("CX", "PB11"), ("XX", "HMBCX"), ("CX", "SNAA"), ("GE", "snaa")):
        assert not some.has_station(network, station), (network, station)
    assert some.without_waveforms([("CX", "PB01"), ("GE", "ABC")]) == ["CX.HM*", "GE.SNAA"]


def test_times_are_utc():
    some = chosen("2024-03-01", "2024-03-01T08:00:00.5+02:00", None)
    assert some == Chosen(UTCDateTime(2024, 3, 1), UTCDateTime(2024, 3, 1, 6, 0, 0, 500_000))
    assert chosen("2024-03-01 08:00", None, None).start == UTCDateTime(2024, 3, 1, 8)
    assert str(some) == "from 2024-03-01T00:00:00.000000Z before 2024-03-01T06:00:00.500000Z"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("yesterday", None, None), "--start yesterday: not a time; write it as 2019-07-07T08:00:00, in UTC"),
        ((None, "2024-13-01", None), "--end 2024-13-01: not a time"),
        ((None, "2024", None), "--end 2024: not a time"),
        (("2024-03-01", "2024-03-01", None), "is not before --end 2024-03-01T00:00:00"),
        ((None, None, "CX.PB01,"), "'' is not a station"),
        ((None, None, "CX.PB01..HHZ"), "'CX.PB01..HHZ' is not a station; write STA or NET.STA"),
    ],
)
def test_wrong_values_are_one_line(words, part):
    with pytest.raises(ValueError, match="--") as raised:
        chosen(*words)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


@given(
    at_ms=st.lists(st.integers(-5_000, 15_000), min_size=1, max_size=4, unique=True),
    num_samples=st.integers(1, 1_000),
    rate_hz=st.sampled_from([20.0, 100.0, 128.0]),
)
def test_ranges_that_follow_each_other_hold_every_sample_once(at_ms, num_samples, rate_hz):
    times = [BEGIN + ms / 1000 for ms in sorted(at_ms)]
    edges = [None, *times, None]
    taken: list[int] = []
    for start, end in pairwise(edges):
        for begin, length in Chosen(start, end).cut([(BEGIN, num_samples)], rate_hz):
            first = round((begin - BEGIN) * rate_hz)
            taken += range(first, first + length)
            assert start is None or begin >= start - 1e-3 / rate_hz - 1e-6
            assert end is None or begin + (length - 1) / rate_hz < end
    assert taken == list(range(num_samples))
