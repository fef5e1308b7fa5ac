"""Scores of weighted events against scikit-learn's with weights, and influences against derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score, roc_auc_score

from trainables.evaluation.counts import MOST_ROWS
from trainables.evaluation.weighted import (
    Confusion,
    auc,
    confusion_features,
    difference,
    of_sums,
    rows_of_events,
    sums_by_row,
    with_error,
)


@pytest.fixture
def windows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    is_positive = rng.random(200) < 0.4
    return {
        "is_positive": is_positive,
        "score": np.round(rng.normal(size=200) + is_positive, 1),  # with ties
        "event": np.char.add("event ", rng.integers(0, 30, 200).astype(str)),
    }


def test_auc_is_that_of_scikit_learn(windows):
    row, num_rows = rows_of_events(windows["event"])
    weighted = auc(windows["is_positive"], windows["score"], row, num_rows)
    weights = np.random.default_rng(0).integers(0, 4, (5, num_rows)).astype(float)
    expected = [
        roc_auc_score(windows["is_positive"], windows["score"], sample_weight=weight[row]) for weight in weights
    ]
    np.testing.assert_allclose(weighted(weights)[0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "of_scikit_learn"),
    [("f1", f1_score), ("precision", precision_score), ("recall", recall_score), ("mcc", matthews_corrcoef)],
)
def test_decisions_are_scored_as_scikit_learn_does(windows, name, of_scikit_learn):
    row, num_rows = rows_of_events(windows["event"])
    taken = windows["score"] >= 0.4
    sums = sums_by_row(confusion_features(windows["is_positive"], taken), row, num_rows)
    weighted = of_sums(sums, lambda cells: getattr(Confusion(cells), name))
    weights = np.random.default_rng(0).integers(0, 4, (5, num_rows)).astype(float)
    expected = [of_scikit_learn(windows["is_positive"], taken, sample_weight=weight[row]) for weight in weights]
    np.testing.assert_allclose(weighted(weights)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["auc", "f1", "mcc"])
def test_an_influence_is_the_derivative_by_the_weight_of_an_event(windows, name):
    row, num_rows = rows_of_events(windows["event"])
    if name == "auc":
        weighted = auc(windows["is_positive"], windows["score"], row, num_rows)
    else:
        sums = sums_by_row(confusion_features(windows["is_positive"], windows["score"] >= 0.4), row, num_rows)
        weighted = of_sums(sums, lambda cells: getattr(Confusion(cells), name))
    ones, step = np.ones((1, num_rows)), 1e-4
    _, influence = weighted(ones)
    steps = step * np.eye(num_rows)
    slope = (weighted(ones + steps)[0] - weighted(ones - steps)[0]) / (2 * step)
    np.testing.assert_allclose(influence[0], slope, atol=1e-6)
    assert abs(influence.sum()) < 1e-6, "twice the events change nothing"
    assert with_error(difference(weighted, weighted))(ones)[1][0] == 0


def test_undecided_scores_are_told_apart_from_bad_ones():
    nothing_taken = Confusion(np.array([[0.0, 0, 5, 5]]))
    assert np.isnan(nothing_taken.precision[0])
    assert nothing_taken.recall[0] == nothing_taken.f1[0] == nothing_taken.mcc[0] == 0


def test_many_events_share_rows():
    row, num_rows = rows_of_events(np.arange(1000).astype(str))
    assert num_rows == MOST_ROWS
    assert np.bincount(row).tolist() == [3] * 200 + [2] * 200
