"""Scores of events that count more or less: what a bootstrap and a jackknife need to know of a score.

A score comes with the influence of each event on it, from which its standard error follows (the infinitesimal
jackknife, Efron and Tibshirani 1993, chapter 11.6). The influence on the difference of two scores is the difference of
the influences, so that two models are compared event by event.
"""

# R draw, N row (an event, or several), K feature, W window

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.counts import MOST_ROWS

Weighted = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""How often each row counts (R, N) to the score (R,), NaN where there is none, and each row's influence (R, N)."""

_STEP = 1e-5
"""Of the derivative, as a share of a feature's sum."""


def rows_of_events(event_W: np.ndarray) -> tuple[np.ndarray, int]:
    """The row of each window, and how many there are: one an event, several events a row where there are more than
    `MOST_ROWS`, as in `counts.EventCounts`."""
    names, row_W = np.unique(event_W, return_inverse=True)
    num_rows = min(len(names), MOST_ROWS)
    return row_W % max(num_rows, 1), num_rows


def sums_by_row(features_WK: np.ndarray, row_W: np.ndarray, num_rows: int) -> np.ndarray:
    """Sums (N, K) of the features of each row's windows."""
    sums_NK = np.zeros((num_rows, features_WK.shape[1]))
    np.add.at(sums_NK, row_W, features_WK)
    return sums_NK


def of_sums(sums_NK: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> Weighted:
    """A score that is a function of sums over events, of (R, K) one number each (R,), and that stays the same where all
    sums are multiplied by one number: a ratio, a mean, a standard deviation."""
    step_K = _STEP * np.abs(sums_NK).sum(axis=0)

    def weighted(weight_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums_RK = weight_RN @ sums_NK
        slope_RK = np.zeros_like(sums_RK)
        for k in np.flatnonzero(step_K):
            shift_K = np.zeros(len(step_K))
            shift_K[k] = step_K[k]
            slope_RK[:, k] = (score(sums_RK + shift_K) - score(sums_RK - shift_K)) / (2 * step_K[k])
        return score(sums_RK), slope_RK @ sums_NK.T

    return weighted


def auc(is_positive_W: np.ndarray, score_W: np.ndarray, row_W: np.ndarray, num_rows: int) -> Weighted:
    """Area under the ROC curve: the share of pairs of a positive and a negative window in which the positive one has
    the higher score, ties counting half (Mann and Whitney 1947)."""
    above_NN = np.zeros((num_rows, num_rows))
    positive_row_W, positive_W = row_W[is_positive_W], score_W[is_positive_W]
    negative_row_W, negative_W = row_W[~is_positive_W], score_W[~is_positive_W]
    for row in np.unique(negative_row_W):
        others = np.sort(negative_W[negative_row_W == row])
        lower_W, not_higher_W = (np.searchsorted(others, positive_W, side) for side in ("left", "right"))
        above_NN[:, row] = np.bincount(positive_row_W, (lower_W + not_higher_W) / 2, minlength=num_rows)
    positives_N = np.bincount(positive_row_W, minlength=num_rows).astype(float)
    negatives_N = np.bincount(negative_row_W, minlength=num_rows).astype(float)

    def weighted(weight_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            positives_R, negatives_R = weight_RN @ positives_N, weight_RN @ negatives_N
            pairs_R = (positives_R * negatives_R)[:, None]
            of_positive_RN, of_negative_RN = weight_RN @ above_NN.T, weight_RN @ above_NN
            value_R = (weight_RN * of_positive_RN).sum(axis=1) / pairs_R[:, 0]
            share_RN = positives_N / positives_R[:, None] + negatives_N / negatives_R[:, None]
            return value_R, (of_positive_RN + of_negative_RN) / pairs_R - value_R[:, None] * share_RN

    return weighted


def difference(a: Weighted, b: Weighted) -> Weighted:
    """Of the first minus the second, on the same events."""

    def weighted(weight_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (a_R, of_a_RN), (b_R, of_b_RN) = a(weight_RN), b(weight_RN)
        return a_R - b_R, of_a_RN - of_b_RN

    return weighted


def with_error(weighted: Weighted) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The score and its standard error (R,), as `bootstrap.bootstrap_t` wants it."""

    def scored(weight_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value_R, influence_RN = weighted(weight_RN)
        num_rows = weight_RN.shape[1]
        variance_R = (weight_RN * influence_RN**2).sum(axis=1) * num_rows / max(num_rows - 1, 1)
        return value_R, np.sqrt(variance_R)

    return scored


@dataclass(frozen=True)
class Confusion:
    """Of decisions between two classes, from sums (R, 4) of true positives, false positives, false negatives and true
    negatives. A score whose denominator is 0 is NaN; of the MCC it is 0."""

    sums_R4: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        tp, fp, fn, _ = self.sums_R4.T
        return _ratio(2 * tp, 2 * tp + fp + fn)

    @property
    def precision(self) -> np.ndarray:
        tp, fp, _, _ = self.sums_R4.T
        return _ratio(tp, tp + fp)

    @property
    def recall(self) -> np.ndarray:
        tp, _, fn, _ = self.sums_R4.T
        return _ratio(tp, tp + fn)

    @property
    def mcc(self) -> np.ndarray:
        """Matthews' correlation coefficient."""
        tp, fp, fn, tn = self.sums_R4.T
        below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return np.where(below > 0, (tp * tn - fp * fn) / np.sqrt(np.where(below > 0, below, 1)), 0.0)


def confusion_features(is_positive_W: np.ndarray, is_taken_W: np.ndarray) -> np.ndarray:
    """Which of the four each window is (W, 4), in the order of `Confusion`."""
    cells = (
        is_positive_W & is_taken_W,
        ~is_positive_W & is_taken_W,
        is_positive_W & ~is_taken_W,
        ~is_positive_W & ~is_taken_W,
    )
    return np.stack(cells, axis=1).astype(float)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
