"""Hours and stations of continuous waveforms are held out, the same ones every time, and no block is in two splits."""

from __future__ import annotations

import pytest

from trainables.data.continuous import Stretch
from trainables.data.stream_splits import BLOCK_NS, GUARD_NS, split_streams

HOUR_NS = 3600 * 10**9


def stretch(station: str, begin_h: float, hours: float) -> Stretch:
    start_ns = 400_000 * HOUR_NS + round(begin_h * HOUR_NS)
    return Stretch(station, f"{station}..HH", start_ns, round(hours * 360_000), 0, start_ns)


def hours_of(stretches: list[Stretch]) -> float:
    return sum(one.seconds for one in stretches) / 3600


def test_the_last_hours_are_held_out_and_those_before_are_dev():
    recorded = [stretch("XX.A", 0, 10), stretch("XX.B", 0, 10)]
    splits = split_streams(recorded, 0.2, 0.15)
    train, dev, test = (splits.of(recorded, split) for split in ("train", "dev", "test"))
    assert not splits.held_out
    assert hours_of(train) == pytest.approx(14, abs=0.4)
    assert hours_of(dev) == pytest.approx(3, abs=0.4)
    assert max(one.end_ns for one in train) + GUARD_NS == min(one.start_ns for one in dev)
    assert max(one.end_ns for one in dev) + GUARD_NS == min(one.start_ns for one in test)
    assert max(one.end_ns for one in train) % BLOCK_NS == 0


def test_of_many_stations_some_are_held_out_with_all_their_hours():
    recorded = [stretch(f"XX.{letter}", 0, 10) for letter in "ABCDE"]
    splits = split_streams(recorded, 0.2, 0.15)
    assert len(splits.held_out) == 1
    assert hours_of([one for one in splits.of(recorded, "test") if one.station in splits.held_out]) == 10
    assert not [
        one for one in splits.of(recorded, "train") + splits.of(recorded, "dev") if one.station in splits.held_out
    ]
    assert split_streams(recorded[::-1], 0.2, 0.15) == splits
    assert not split_streams(recorded, 0, 0.15).held_out


def test_hours_that_lie_months_apart_are_shared_by_what_is_recorded():
    recorded = [stretch("XX.A", month * 720, 1) for month in range(10)]
    splits = split_streams(recorded, 0.2, 0.15)
    assert hours_of(splits.of(recorded, "test")) == pytest.approx(1.5, abs=0.2)
    assert hours_of(splits.of(recorded, "train")) == pytest.approx(7, abs=0.2)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ([stretch("XX.A", 0, 0.4)], "24 min of waveforms that are not dead are too short for a held-out part"),
        ([stretch(f"XX.{letter}", 0, 0.3) for letter in "ABC"], "lies in 2 blocks of 10 min"),
    ],
)
def test_what_is_too_short_to_hold_out_anything_is_one_line(recorded, said):
    with pytest.raises(ValueError, match=said):
        split_streams(recorded, 0.2, 0.15)
