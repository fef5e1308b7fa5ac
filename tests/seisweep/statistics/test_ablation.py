"""Does the combination get the best of both? The sentence against the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from seisweep.statistics.ablation import best_of_both
from seisweep.statistics.conditions import Measured, group
from seisweep.statistics.objective import Objective

F1 = Objective("dev/f1", "max")
LABELS, TEACHER = [0.80, 0.82, 0.81, 0.83, 0.80], [0.85, 0.86, 0.84, 0.87, 0.86]
SEEDS = range(5)


def conditions(values: dict[tuple, list[float]]):
    """By alpha, or by alpha and the share of streams."""
    keys = ("loss.alpha", "data.streams_share")
    return group(
        Measured(dict(zip(keys, point, strict=False)), seed, value)
        for point, of_point in values.items()
        for seed, value in zip(SEEDS, of_point, strict=False)
    )


def plus(values: list[float], *steps: float) -> list[float]:
    return [value + step for value, step in zip(values, steps, strict=True)]


BETTER = plus(TEACHER, 0.02, 0.03, 0.02, 0.03, 0.02)
AS_GOOD = plus(TEACHER, 0.02, -0.02, 0.01, -0.01, 0.01)
BETWEEN = plus(TEACHER, -0.02, -0.02, -0.01, -0.02, -0.01)


@pytest.mark.parametrize(
    ("both", "answer"),
    [
        (BETTER, "holds: its gain in dev/f1"),
        (AS_GOOD, "is not shown by these seeds: its gain in dev/f1"),
        (BETWEEN, "does not hold, the teacher alone is better: its gain in dev/f1"),
        (plus(LABELS, -0.1, -0.1, -0.11, -0.1, -0.1), "does not hold, labels alone and the teacher alone are better,"),
    ],
)
def test_it_holds_where_both_alone_are_worse_by_more_than_chance(both, answer):
    (said,) = best_of_both(conditions({(0.0,): LABELS, (0.5,): both, (1.0,): TEACHER}), F1)
    assert said.startswith(f"that the combination of labels and teacher gets the best of both {answer.rstrip(',:')}")
    ends = stats.ttest_rel(both, TEACHER).confidence_interval(0.95)
    assert f"over the teacher alone {np.mean(np.subtract(both, TEACHER)):+.3g} (95 % interval {ends.low:.4g}" in said


def test_of_a_loss_less_is_better():
    losses = {(0.0,): [1.0, 1.1, 1.0], (0.5,): [0.5, 0.61, 0.5], (1.0,): [0.8, 0.9, 0.81]}
    (said,) = best_of_both(conditions(losses), Objective("dev/loss", "min"))
    assert "both holds: its gain in dev/loss is over labels alone +0.497" in said


def test_with_streams_each_is_compared_with_the_teacher_that_has_them_and_with_labels_alone():
    values = {(0.0, 0.0): LABELS, (0.5, 0.0): BETTER, (0.5, 0.5): AS_GOOD, (1.0, 0.0): TEACHER, (1.0, 0.5): BETTER}
    (said,) = best_of_both(conditions(values), F1)
    first, second = said.split("; ")
    assert "holds without streams:" in first
    assert second.startswith("is not shown by these seeds with 50% of the windows from streams:")
    assert f"over the teacher alone {np.mean(np.subtract(AS_GOOD, BETTER)):+.3g}" in second


def test_several_combinations_are_told_apart_by_their_alpha():
    values = {(0.0,): LABELS, (0.3,): BETTER, (0.7,): AS_GOOD, (1.0,): TEACHER}
    (said,) = best_of_both(conditions(values), F1)
    assert "holds at loss.alpha=0.3:" in said
    assert "is not shown by these seeds at loss.alpha=0.7:" in said


@pytest.mark.parametrize(
    "values",
    [
        {(0.0,): LABELS, (1.0,): TEACHER},
        {(0.0,): LABELS, (0.5,): BETTER},
        {(0.5,): BETTER, (1.0,): TEACHER},
        {(): LABELS},
    ],
)
def test_nothing_is_said_where_one_of_the_three_is_missing(values):
    assert best_of_both(conditions(values), F1) == []


def test_nothing_is_said_of_other_sweeps_and_before_two_seeds_nothing_is_shown():
    points = [Measured({"loss.alpha": alpha, "student.dropout": 0.1}, 0, 0.5) for alpha in (0.0, 0.5, 1.0)]
    assert best_of_both(group(points), F1) == []
    assert best_of_both([], F1) == []
    (said,) = best_of_both(conditions({(0.0,): [0.5], (0.5,): [0.7], (1.0,): [0.6]}), F1)
    assert "is not shown by these seeds" in said
    assert "(one seed)" in said
