"""Measures of the tasks against scikit-learn, SciPy and the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import matthews_corrcoef, precision_recall_curve, roc_auc_score

from trainables.evaluation.task_measures import Judged, best_f1_threshold, best_mcc_threshold, measures, thresholds
from trainables.evaluation.task_names import Task


def judged(num: int = 80, seed: int = 0, better: float = 1.0, num_events: int = 40) -> Judged:
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.5
    noise, residual = rng.normal(size=num), stats.t(3).rvs(num, random_state=rng) / 5
    return Judged(is_positive, better * is_positive + noise, (np.arange(num) % num_events).astype(str), residual)


def of_all(its: Judged, outlier_s: float = 0.45) -> dict[str, object]:
    every = dict.fromkeys(Task, its)
    return {f"{one.task} {one.name}": one for one in measures(every, every, thresholds(every), outlier_s)}


def test_thresholds_are_the_best_of_all():
    its = judged()
    precision, recall, tried = precision_recall_curve(its.is_positive, its.score)
    f1 = 2 * precision * recall / (precision + recall)
    assert best_f1_threshold(its.is_positive, its.score) == tried[np.nanargmax(f1)]
    mcc = [matthews_corrcoef(its.is_positive, its.score >= height) for height in sorted(its.score)]
    assert best_mcc_threshold(its.is_positive, its.score) == sorted(its.score)[int(np.argmax(mcc))]


def test_values_are_those_of_scikit_learn_and_scipy():
    its = judged()
    found = {name: one.value for name, one in of_all(its).items()}
    assert found["event-detection auc"] == pytest.approx(roc_auc_score(its.is_positive, its.score))
    taken = its.score >= best_mcc_threshold(its.is_positive, its.score)
    assert found["phase-identification mcc"] == pytest.approx(matthews_corrcoef(its.is_positive, taken))
    for phase, which in (("p", its.is_positive), ("s", ~its.is_positive)):
        residual = its.residual_s[which]
        described = stats.describe(residual, ddof=0)
        assert found[f"onset-time {phase}_mean_s"] == pytest.approx(described.mean)
        assert found[f"onset-time {phase}_std_s"] == pytest.approx(described.variance**0.5)
        assert found[f"onset-time {phase}_mae_s"] == pytest.approx(np.abs(residual).mean())
        assert found[f"onset-time {phase}_rmse_s"] == pytest.approx((residual**2).mean() ** 0.5)
        assert found[f"onset-time {phase}_outliers"] == pytest.approx((np.abs(residual) > 0.45).mean())


def test_intervals_hold_the_value_and_stay_within_what_there_is():
    for name, one in of_all(judged()).items():
        value, low, high = one.interval()
        assert low < value < high, name
        assert min(one.worst, one.best) <= low or one.worst == one.best, name
        assert high <= max(one.worst, one.best) or one.worst == one.best, name


def test_intervals_cover_the_truth():
    """Of scores that differ by 1 in the mean, the true area under the curve is the normal's of 1 / sqrt 2."""
    truth = stats.norm.cdf(2**-0.5)
    hits = 0
    for seed in range(60):
        auc = of_all(judged(30, seed, num_events=15))["event-detection auc"]
        _, low, high = auc.interval()
        hits += low <= truth <= high
    assert hits >= 54, "95 % of 60 are 57"


def test_what_has_no_error_is_not_certain():
    """As with the F1 of `bootstrap.f1_interval`: 40 events without an error leave 9 % open."""
    found = of_all(judged(better=100.0))
    open_share = 1 - 0.025 ** (1 / 40)
    assert found["event-detection auc"].value == found["phase-identification mcc"].value == 1
    assert found["event-detection auc"].interval().high == 1
    assert found["event-detection auc"].interval().low == pytest.approx(0.91, abs=0.12)
    assert found["event-detection auc"].interval().low <= 1 - open_share + 1e-9
    low = found["phase-identification mcc"].interval().low
    assert low == pytest.approx(2 * found["phase-identification auc"].interval().low - 1)


def test_one_event_says_nothing():
    for one in of_all(judged(num_events=1)).values():
        value, low, high = one.interval()
        assert np.isfinite(value)
        assert np.isnan([low, high]).all()


def test_models_are_compared_event_by_event():
    one, other = judged(seed=1), judged(seed=1)
    shifted = Judged(one.is_positive, other.score, one.event, one.residual_s + 0.01)
    ours, theirs = of_all(one), of_all(shifted)
    assert ours["event-detection auc"].minus(theirs["event-detection auc"]) == (0, 0, 0)
    value, low, high = ours["onset-time p_mean_s"].minus(theirs["onset-time p_mean_s"])
    assert (value, low, high) == pytest.approx((-0.01, -0.01, -0.01)), "though each mean is known to 0.05 only"


def test_decisions_count_on_other_windows_than_those_that_chose():
    first, second = judged(seed=1), judged(seed=2)
    found = {
        one.name: one
        for one in measures({Task.DETECTION: first}, {Task.DETECTION: second}, {Task.DETECTION: 0.3}, 0.45)
    }
    taken = second.score >= 0.3
    assert found["recall"].value == taken[second.is_positive].mean()
    assert found["recall"].threshold == 0.3
    assert found["auc"].value == pytest.approx(roc_auc_score(first.is_positive, first.score))
