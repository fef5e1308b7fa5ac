"""One order of trials, whoever shows them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisweep.statistics.objective import Direction, Objective, Standing

STATES = ["done", "stopped", "failed", "running", "interrupted", "pending"]
values = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
trials = st.lists(st.tuples(st.sampled_from(STATES), values)).map(
    lambda pairs: [Standing(state, value, number) for number, (state, value) in enumerate(pairs)]
)
directions = st.sampled_from(["max", "min", "zero", "none"])


def itself(trial: Standing) -> Standing:
    return trial


@given(trials, directions)
def test_the_best_is_the_first_that_finished_with_a_value(given_trials: list[Standing], direction: Direction):
    objective = Objective("m", direction)
    ordered = objective.order(given_trials, itself)
    assert sorted(ordered, key=lambda one: one.number) == given_trials, "the same trials"
    finished = [one for one in ordered if one.state == "done" and math.isfinite(objective.loss(one.value))]
    assert objective.best(given_trials, itself) == (finished[0] if finished else None)
    assert ordered[: len(finished)] == finished, "they come before all others"
    losses = [objective.loss(one.value) for one in finished]
    assert losses == sorted(losses)
    failed = [one for one in ordered if one.state == "failed"]
    assert ordered[len(ordered) - len(failed) :] == failed


def test_a_stopped_trial_counts_and_is_never_best_while_one_has_finished():
    stopped, done, failed = Standing("stopped", 0.8, 0), Standing("done", 0.7, 1), Standing("failed", 0.9, 2)
    objective = Objective("dev/f1", "max")
    assert objective.order([failed, stopped, done], itself) == [done, stopped, failed]
    assert objective.best([failed, stopped, done], itself) == done
    assert objective.best([failed, stopped], itself) is None


@pytest.mark.parametrize(
    ("metric", "ordered"),
    [
        ("dev/f1", [0.5, 0.1, -0.3]),
        ("dev/loss", [-0.3, 0.1, 0.5]),
        ("dev/p_residual_mean_s", [0.1, -0.3, 0.5]),
        ("my/score", [-0.3, 0.1, 0.5]),
    ],
)
def test_the_better_end_comes_first_by_the_metrics_own_direction(metric, ordered):
    objective = Objective.to_sort_by(metric, {})
    assert [ordered[place] for place in objective.best_first(ordered)] == ordered
    assert objective.best_first([0.5, 0.1, -0.3]) == [[0.5, 0.1, -0.3].index(value) for value in ordered]


def test_a_metric_that_a_user_names():
    assert Objective.named("my/score:min", {}) == Objective("my/score", "min")
    assert Objective.named("my/score", {"my/score": "max"}) == Objective("my/score", "max")
    with pytest.raises(ValueError, match=r"is more of my/score better, or less\? Say my/score:max or my/score:min"):
        Objective.named("my/score", {})


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from(["max", "min"]))
def test_a_gain_is_positive_where_the_other_value_is_better(value: float, other: float, direction: Direction):
    objective = Objective("m", direction)
    assert (objective.gain(other - value) > 0) == objective.better(other, than=value)
