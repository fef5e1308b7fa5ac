"""One instrument at a time: every moment that any records belongs to one, the best there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.edge.stretches import Instrument, merged, one_at_a_time, without

S = 10**9
WINDOW = 30 * S


def instrument(family: str, *spans: tuple[int, int], components: str = "ENZ", dead: tuple = (), rate_hz: float = 100):
    """Recorded in these seconds; dead components are so for good."""
    its = [(a * S, b * S) for a, b in spans]
    return Instrument(family, rate_hz, its, {c: [] if c in dead else its for c in components})


def chosen(*instruments: Instrument) -> list[list[tuple[float, float]]]:
    return [[(a / S, b / S) for a, b in its] for its in one_at_a_time(instruments, WINDOW, 100)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (instrument("HH", (0, 600)), instrument("HN", (0, 600))),
        (instrument("HN", (0, 600)), instrument("HH", (0, 600), components="Z")),
        (instrument("HN", (0, 600)), instrument("HH", (0, 600), dead=("N",))),
        (instrument("BH", (0, 600), components="ZN"), instrument("HH", (0, 600), components="EN")),
        (instrument("HH", (0, 600)), instrument("BH", (0, 600), rate_hz=40)),
        (instrument("HH", (0, 600)), instrument("FH", (0, 600), rate_hz=1000)),
        (instrument("HN", (0, 600)), instrument("HH", (100, 125))),
        (instrument("", (0, 600)), instrument("XY", (0, 600), components="Z")),
    ],
)
def test_the_better_one_is_picked_all_the_time(first, second):
    assert chosen(first, second) == [first_spans := [(0, 600)], []]
    assert chosen(second, first) == [[], first_spans]


def test_a_seismometer_that_stops_leaves_the_rest_to_the_accelerometer():
    """And its last window, which is short of windows and, where it goes flat, has a step in it."""
    assert chosen(instrument("HH", (0, 120)), instrument("HN", (0, 600))) == [[(0, 90)], [(90, 600)]]


def test_instruments_that_follow_on_each_other_are_picked_whole():
    assert chosen(instrument("HH", (0, 120)), instrument("EH", (120, 300))) == [[(0, 120)], [(120, 300)]]


def test_a_short_gap_of_one_component_changes_nothing():
    gap = instrument("HH", (0, 600))._replace(
        alive={"E": [(0, 600 * S)], "N": [(0, 600 * S)], "Z": [(0, 300 * S), (320 * S, 600 * S)]}
    )
    assert chosen(gap, instrument("HN", (0, 600))) == [[(0, 600)], []]


spans = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), max_size=5).map(
    lambda its: merged((a * S, (a + n) * S) for a, n in its)
)


@given(st.lists(st.tuples(st.sampled_from(["HH", "HN", "EH", "B", ""]), spans, spans), min_size=1, max_size=4))
def test_every_moment_belongs_to_one_that_records(given_ones):
    instruments = [
        Instrument(family, 100, its, {"Z": its, "N": without(its, dead)}) for family, its, dead in given_ones
    ]
    own = one_at_a_time(instruments, WINDOW, 100)
    everything = [span for one in instruments for span in one.recorded]
    assert length(merged(everything)) == sum(length(its) for its in own)
    assert length(merged(span for its in own for span in its)) == sum(length(its) for its in own)
    for one, its in zip(instruments, own, strict=True):
        assert without(its, merged(one.recorded)) == []


def length(its) -> int:
    return sum(end - start for start, end in its)
