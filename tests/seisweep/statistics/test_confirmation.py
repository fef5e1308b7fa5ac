"""Does the winner stay the winner? The numbers against SciPy's, the words against the numbers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats
from seisweep.statistics.conditions import Condition, Estimate
from seisweep.statistics.confirmation import as_frame, compare, holm, named, p_value, table_rows, verdict
from seisweep.statistics.objective import Objective

from search_spaces.sweep import Confirms
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.counts import EventCounts

F1 = Objective("dev/f1", "max")
WINNER = [0.90, 0.91, 0.92, 0.93]


def conditions(*values: list[float]) -> list[Condition]:
    return [
        Condition({"rate": place, "same": 1}, dict(enumerate(of_one, start=1)), list(range(len(of_one))))
        for place, of_one in enumerate(values)
    ]


def confirms(*trials: int, settings: dict | None = None) -> Confirms:
    return Confirms(sweep="toy-1", trials=trials, values=[0.95 - 0.01 * n for n in trials], settings=settings or {})


def test_the_p_value_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.7, 0.1, 5), rng.normal(0.6, 0.1, 5)
    (comparison,) = compare(conditions(list(one), list(other)))
    expected = stats.ttest_rel(other, one)
    assert comparison.p == comparison.p_holm == pytest.approx(expected.pvalue)
    assert comparison.difference.mean == pytest.approx(np.mean(other - one))
    interval = expected.confidence_interval(0.95)
    assert (comparison.difference.low, comparison.difference.high) == pytest.approx((interval.low, interval.high))


def test_a_single_pair_has_no_p_value_and_equal_differences_an_extreme_one():
    assert math.isnan(p_value(Estimate.of([0.1])))
    assert p_value(Estimate.of([0.0, 0.0])) == 1
    assert p_value(Estimate.of([0.1, 0.1, 0.1])) == 0


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 0.04 alone would stay: it may not be below the one before it
        ([0.5, 0.4], [0.8, 0.8]),
        ([0.9, 0.6], [1.0, 1.0]),
        ([0.02, math.nan, 0.01], [0.02, math.nan, 0.02]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm_corrects_for_the_number_of_comparisons(given, corrected):
    assert holm(given) == pytest.approx(corrected, nan_ok=True)


@pytest.mark.parametrize(
    ("others", "direction", "answer"),
    [
        ([[0.80, 0.81, 0.82, 0.835]], "max", "the winner stays the winner: trial 3 is better than the next, trial 1"),
        ([[0.80, 0.81, 0.82, 0.835]], "min", "the winner does not stay the winner: trial 1 is better than trial 3"),
        ([[0.95, 0.96, 0.97, 0.985]], "max", "the winner does not stay the winner: trial 1 is better than trial 3"),
        ([[0.80, 0.99, 0.70, 0.98]], "max", "the winner stays in front, and these seeds cannot tell it from trial 1"),
        ([[0.99, 0.90, 0.99, 0.80]], "max", "the winner does not stay in front: the mean dev/f1 of trial 1 is better"),
        ([[0.80, 0.81, 0.82, 0.835], [0.7, 1, 0.7, 1]], "max", "cannot tell it from trial 5: its mean"),
        ([[0.9], [0.8]], "max", "no other configuration has ended with two of the seeds"),
    ],
)
def test_the_answer_is_one_sentence(others, direction, answer):
    given = confirms(3, 1, *([5] if len(others) > 1 else []))
    sentence, *more = verdict(conditions(WINNER, *others), given, Objective("dev/f1", direction))
    assert answer in sentence
    assert "trial 3, the winner of toy-1, had a dev/f1 of 0.92 there; with fresh seeds its mean is 0.915" in more[0]
    assert f"0.005 {'worse' if direction == 'max' else 'better'}, {0.005 / np.std(WINNER, ddof=1):.4g} stand" in more[0]


def test_the_size_of_a_difference_and_its_interval_have_one_sign():
    sentence = verdict(conditions(WINNER, [0.80, 0.81, 0.82, 0.835]), confirms(3, 1), F1)[0]
    expected = stats.ttest_rel(WINNER, [0.80, 0.81, 0.82, 0.835]).confidence_interval(0.95)
    assert f"by 0.09875 (95 % interval {expected.low:.4g} .. {expected.high:.4g}, p below 0.001 after Holm)" in sentence


def smallest(words: list[str]) -> float:
    (said,) = re.findall(r"the smallest difference in dev/f1 that can be shown is (\d\.\d+)", words[-1])
    return float(said)


def test_the_smallest_difference_that_the_seeds_can_show_is_said():
    words = verdict(conditions([0.9, 0.8, 0.7], [0.8, 0.8, 0.8]), confirms(3, 1), F1)
    seen = stats.t.ppf(0.975, 2) * np.std([0.1, 0, -0.1], ddof=1) / math.sqrt(3)
    assert words[-1].startswith(f"with 3 seeds, the smallest difference in dev/f1 that can be shown is {seen:.4g};")
    two = verdict(conditions([0.9, 0.8, 0.7], [0.8, 0.8, 0.8], [0.85, 0.8, 0.75]), confirms(3, 1, 5), F1)
    assert smallest(two) == pytest.approx(stats.t.ppf(0.9875, 2) / stats.t.ppf(0.975, 2) * seen, rel=1e-3)
    *_, none = verdict(conditions([0.9, 0.9], [0.8, 0.8]), confirms(3, 1), F1)
    assert none.startswith("every seed gave the same")


def test_other_settings_than_in_the_first_sweep_are_named():
    words = verdict(conditions(WINNER), confirms(3, settings={"training.epochs": 5}), F1)
    assert "with fresh seeds and training.epochs=5 its mean is" in words[0]


def test_a_winner_without_values_is_no_winner_yet():
    (line,) = verdict(conditions([0.9], WINNER), confirms(3, 1), F1)
    assert line.endswith("has ended with 1 fresh seeds so far: too early to say whether it is the best")


def test_the_table_shows_what_differs_beside_what_the_sweep_had():
    winner, other = table_rows(conditions(WINNER, [0.80, 0.81, 0.82, 0.835]), confirms(3, 1), "dev/f1")
    assert (winner["trial"], winner["in toy-1"], winner["dev/f1"]) == (3, pytest.approx(0.92), pytest.approx(0.915))
    assert (winner["its interval"], winner["rate"]) == ("winner", 0)
    assert other["difference"] == pytest.approx(-0.09875)
    assert other["p (Holm)"] < 0.001
    assert "same" not in other
    assert "missing" not in other


def test_the_frame_has_every_setting():
    frame = as_frame(conditions(WINNER, [0.8, 0.81, 0.82, 0.8]), confirms(3, 1))
    assert list(frame["trial"]) == [3, 1]
    assert list(frame["in_first_sweep"]) == pytest.approx([0.92, 0.94])
    assert list(frame["same"]) == [1, 1]
    assert math.isnan(frame.loc[0, "p_holm"])
    assert frame.loc[1, "p"] == pytest.approx(stats.ttest_rel(WINNER, [0.8, 0.81, 0.82, 0.8]).pvalue)


def test_conditions_are_called_by_their_trials():
    assert [one.label() for one in named(conditions(WINNER, WINNER), confirms(3, 1))] == ["trial 3", "trial 1"]


def counts(true_N: list[int]) -> EventCounts:
    """Of 13 events with 40 arrivals each, by how many of them were found."""
    counts_NPF = np.array([[[true, 0, 40 - true]] * 2 for true in true_N])
    return EventCounts.of_events([f"event {n:02d}" for n in range(13)], counts_NPF, ["P", "S"])


def test_who_is_better_by_all_seeds_on_few_events_is_not_called_so():
    """Every seed says the same, as all of them are measured on one event that suits the other configuration."""
    found = conditions(WINNER, [value + 0.02 for value in WINNER])
    as_good = counts([30] * 13)
    lucky, better = counts([40, *[30] * 12]), counts([30 + n % 3 + 2 for n in range(13)])
    words = verdict(found, confirms(3, 5), F1, [as_good, lucky])[0]
    assert words.startswith("the winner does not stay in front: the mean dev/f1 of trial 5 is better")
    assert words.endswith("which these 13 dev events cannot tell from chance")
    assert verdict(found, confirms(3, 5), F1, [as_good, better])[0].startswith("the winner does not stay the winner")
    assert verdict(found, confirms(3, 5), F1, [as_good, None])[0].startswith("the winner does not stay the winner")


def test_a_winner_that_only_these_events_favour_is_said_to_be_so():
    found = conditions(WINNER, [value - 0.02 for value in WINNER])
    as_good, lucky = counts([30] * 13), counts([40, *[30] * 12])
    words = verdict(found, confirms(3, 5), F1, [lucky, as_good])[0]
    assert words.startswith("the winner stays in front, and these seeds on 13 dev events cannot tell it from trial 5")


def test_a_difference_just_above_what_is_said_to_be_the_smallest_is_shown_and_one_just_below_is_not():
    """By seeds: the whole difference moves with one number that is added to every seed of the other configuration."""
    other = np.array([0.80, 0.86, 0.83, 0.90])
    centred = other - (other - WINNER).mean()
    seen = smallest(verdict(conditions(WINNER, list(other)), confirms(3, 1), F1))
    (above,), (below,) = (compare(conditions(WINNER, list(centred + factor * seen))) for factor in (1.01, 0.99))
    assert above.p < 0.05 < below.p


def test_a_true_difference_of_that_size_is_shown_about_every_other_time():
    for num_seeds in (3, 5, 10):
        limit = stats.t.ppf(0.975, num_seeds - 1)
        assert stats.nct.sf(limit, num_seeds - 1, limit) == pytest.approx(0.5, abs=0.12)


def test_few_events_say_what_they_can_show_beside_the_seeds():
    found = conditions(WINNER, [value + 0.02 + step for value, step in zip(WINNER, (0, 1e-3, 0, 1e-3), strict=True)])
    as_good, other = counts([30] * 13), counts([30 + (3 * n) % 7 for n in range(13)])
    words = verdict(found, confirms(3, 5), F1, [as_good, other])
    difference, low, _ = paired_f1_difference(other, as_good)
    of_seeds = stats.t.ppf(0.975, 3) * np.std([0, 1e-3, 0, 1e-3], ddof=1) / 2
    assert words[-1].startswith("with 4 seeds on 13 dev events, the smallest difference")
    assert f"({of_seeds:.4g} by the seeds, {difference - low:.4g} by the events)" in words[-1]
    assert smallest(words) == pytest.approx(difference - low, rel=1e-3)
    assert smallest(verdict(found, confirms(3, 5), F1, [None, None])) == pytest.approx(of_seeds, rel=1e-3)
