"""No two splits share what they are split by, nor a sample of any station."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trainables.data.build_splits import BETWEEN, with_splits
from trainables.data.build_window import BuildConfig, PickAt, Window

S = 1_000_000_000


def window(event: str, station: str, start_s: float, length_s: float = 90, **fields: Any) -> Window:
    start_ns = round(start_s * S)
    picks = (PickAt("P", start_ns + 30 * S, "", True),) if event else ()
    key = f"{station}-{event}-{start_s}"
    return Window(key, event, station, "*", start_ns, start_ns + round(length_s * S), picks, **fields)


planned = st.lists(
    st.builds(
        lambda event, station, hour, wait: window(event and f"{event}@{hour}", station, 3600 * hour + wait),
        st.sampled_from(["a", "b", "c", ""]),
        st.sampled_from(["X.A", "X.B", "X.C", "X.D", "X.E"]),
        st.integers(0, 30),
        st.floats(0, 200),
    ),
    min_size=1,
    max_size=60,
)


def overlapping(a: Window, b: Window) -> bool:
    return a.start_ns < b.end_ns and b.start_ns < a.end_ns


@given(planned, planned, st.sampled_from(["event", "time", "station"]), st.integers(0, 5))
def test_splits_share_nothing(first, second, split_by, seed):
    config = BuildConfig(split_by=split_by, seed=seed)
    try:
        there, left_out, borders = with_splits(first, config)
        more, more_left_out, _ = with_splits(second, config, there, borders)
    except ValueError:
        assume(False)
    assert sum(left_out.values()) == sum(w.num_own for w in first) - sum(w.num_own for w in there)
    assert sum(more_left_out.values()) == sum(w.num_own for w in second) - sum(w.num_own for w in more)
    both = [*there, *more]
    assert all(w.split in ("train", "dev", "test") for w in both)
    for number, a in enumerate(both):
        for b in both[:number]:
            if a.split == b.split:
                continue
            assert not (a.station == b.station and overlapping(a, b))
            if split_by == "station":
                assert a.station != b.station
            else:
                assert not a.event or a.event != b.event
            if split_by == "time":
                order = ("train", "dev", "test")
                assert (a.start_ns < b.start_ns) == (order.index(a.split) < order.index(b.split))
                assert not overlapping(a, b)


@pytest.mark.parametrize("split_by", ["event", "time", "station"])
def test_shares_are_about_those_asked_for(split_by):
    windows = [window(f"e{n}", f"X.{n % 37}", 200 * n) for n in range(400)]
    windows += [window("", f"X.{n % 37}", 200 * n + 100, 80) for n in range(0, 400, 4)]
    kept, _, _ = with_splits(windows, BuildConfig(split_by=split_by, shares=(0.6, 0.3, 0.1)))
    for has_event in (True, False):
        counts = Counter(w.split for w in kept if bool(w.event) == has_event)
        assert counts["train"] / counts.total() == pytest.approx(0.6, abs=0.03)
        assert counts["dev"] / counts.total() == pytest.approx(0.3, abs=0.03)


def test_a_share_of_nothing_is_nothing():
    for split_by in ("event", "time", "station"):
        config = BuildConfig(split_by=split_by, shares=(1, 0, 0))
        kept, _, _ = with_splits([window("a", "X.A", 100), window("", "X.A", 900), window("", "X.A", 0)], config)
        assert {w.split for w in kept} == {"train"}


def test_picks_of_no_event_that_are_near_in_time_may_be_one_earthquake():
    windows = [window(f"picks-{n}-{s}", f"X.{s}", 500 * n + 20 * s, loose=True) for n in range(9) for s in range(2)]
    kept, _, _ = with_splits(windows, BuildConfig())
    for n in range(9):
        assert len({w.split for w in kept if 500 * n <= w.start_ns / S < 500 * n + 100}) == 1


def test_a_window_that_would_join_two_splits_is_left_out():
    at = {"a": (0, "train"), "b": (150, "dev"), "c": (900, "test")}
    there = [window(event, "X.A", start_s, split=split) for event, (start_s, split) in at.items()]
    kept, left_out, _ = with_splits([window("d", "X.A", 80), window("e", "X.A", 950)], BuildConfig(), there)
    assert [(w.event, w.split) for w in kept] == [("e", "test")]
    assert left_out == {BETWEEN: 1}


@pytest.mark.parametrize("split_by", ["event", "station"])
def test_an_empty_split_is_refused_with_a_remedy(split_by):
    crowded = [window(str(n), "X.A", 50 * n) for n in range(50)]
    with pytest.raises(ValueError, match=r"split dev would be empty: .*--shares 1,0,0"):
        with_splits(crowded, BuildConfig(split_by=split_by))
    kept, left_out, _ = with_splits(crowded, BuildConfig(split_by="time"))
    assert {w.split for w in kept} == {"train", "dev", "test"}
    assert left_out[BETWEEN] <= 4
