from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.bootstrap import f1_interval, paired_f1_difference
from trainables.evaluation.counts import EventCounts

PHASES = ["P", "S"]


def drawn(rng: np.random.Generator, num_events: int, skill: float = 1.5) -> EventCounts:
    """Events that differ in how hard they are, 40 windows of each."""
    hardness = rng.normal(0, 1, (num_events, 1))
    share = 1 / (1 + np.exp(-skill - hardness - rng.normal(0, 0.5, (num_events, 2))))
    true = rng.binomial(30, share)
    false = rng.poisson(1.0, (num_events, 2))
    return counts_of(np.stack([true, false, 30 - true], axis=2))


def counts_of(counts_NPF: np.ndarray) -> EventCounts:
    return EventCounts.of_events([f"event {n:06d}" for n in range(len(counts_NPF))], counts_NPF, PHASES)


@pytest.mark.parametrize("num_events", [13, 50])
def test_the_interval_covers_the_truth_in_95_of_100_cases(num_events):
    truth = drawn(np.random.default_rng(1), 300_000).only(None)
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(400):
        low, high = f1_interval(drawn(rng, num_events), resamples=500)
        covered.append(low <= truth.f1() <= high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_interval_is_the_same_every_time_and_holds_the_score():
    counts = drawn(np.random.default_rng(3), 13)
    low, high = f1_interval(counts)
    assert (low, high) == f1_interval(counts)
    assert 0 <= low < counts.f1() < high <= 1


def test_more_events_make_it_narrower():
    few, many = (f1_interval(drawn(np.random.default_rng(4), size)) for size in (10, 1000))
    assert many[1] - many[0] < 0.3 * (few[1] - few[0])


def test_without_any_error_the_interval_is_what_so_many_events_leave_open():
    perfect = np.tile(np.array([20, 0, 0]), (13, 2, 1))
    low, high = f1_interval(counts_of(perfect))
    assert high == 1
    assert low == pytest.approx(0.859, abs=0.001)
    assert f1_interval(counts_of(np.tile(perfect, (10, 1, 1))))[0] > 0.98


def test_a_single_event_says_nothing():
    assert f1_interval(counts_of(np.ones((1, 2, 3)))) == (0, 1)


def test_what_hard_events_do_to_both_models_drops_out_of_their_difference():
    rng = np.random.default_rng(5)
    first = drawn(rng, 13)
    second_NPF = first.tensor.copy()
    second_NPF[:, :, 0] -= 1
    second_NPF[:, :, 2] += 1
    second_NPF = np.maximum(second_NPF, 0)
    difference, low, high = paired_f1_difference(first, counts_of(second_NPF))
    alone = f1_interval(first)
    assert difference > 0
    assert low > 0
    assert high - low < 0.3 * (alone[1] - alone[0])


def test_models_that_agree_on_every_event_do_not_differ():
    counts = drawn(np.random.default_rng(6), 13)
    assert paired_f1_difference(counts, counts) == (0, 0, 0)


def test_models_on_other_events_are_not_compared():
    first, second = drawn(np.random.default_rng(7), 13), drawn(np.random.default_rng(7), 12)
    with pytest.raises(ValueError, match="13 and of 12 events"):
        paired_f1_difference(first, second)
