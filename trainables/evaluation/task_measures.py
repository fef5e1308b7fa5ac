"""Measures of pick-benchmark's tasks, each with its 95 % interval by the bootstrap over events.

Event detection: area under the ROC curve of the highest 1 - noise; F1, precision and recall at the threshold with the
best F1. Phase identification: AUC of the highest P by the highest S, P against S; Matthews' correlation coefficient at
the threshold where it is best. Onset time: residuals (highest P or S minus onset), whatever the probability. What
pick-benchmark's program calls standard deviation is `rmse_s` here; `std_s` is about the mean.

A threshold is chosen on other events than it is scored on.
"""

# N row of events, R draw, K feature, W window

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from trainables.data.config import PHASES
from trainables.evaluation.bootstrap import LEVEL, bootstrap_t
from trainables.evaluation.intervals import Interval
from trainables.evaluation.task_names import Task
from trainables.evaluation.weighted import (
    Confusion,
    Weighted,
    auc,
    confusion_features,
    difference,
    of_sums,
    rows_of_events,
    sums_by_row,
    with_error,
)

_NO_ERROR = 1e-12


@dataclass(frozen=True)
class Judged:
    """What one picker says of the windows of a task, and what is true."""

    is_positive: np.ndarray
    """(W,) earthquake, not noise; or P, not S."""
    score: np.ndarray
    """(W,) higher: more likely positive."""
    event: np.ndarray
    """(W,) identifiers."""
    residual_s: np.ndarray
    """(W,) of onset time; NaN elsewhere."""

    def __getitem__(self, which: np.ndarray) -> Judged:
        return Judged(self.is_positive[which], self.score[which], self.event[which], self.residual_s[which])


@dataclass(frozen=True)
class Measure:
    """One number of one model, before its interval is worked out."""

    task: Task
    name: str
    weighted: Weighted
    num_rows: int
    num_windows: int
    num_events: int
    """Of these events the rarer kind, where there are two kinds: what it stands on."""
    worst: float
    best: float
    threshold: float | None = None

    def interval(self) -> Interval:
        """The value and its ends; NaN where one event alone makes it what it is, or where nothing varies of what has no
        bound."""
        value = self.value
        low, high, error = self._bootstrap(self.weighted)
        is_bounded = self.worst != self.best and np.isfinite(self.worst)
        if error < _NO_ERROR:
            # Nothing to draw from. So many events without an exception do not rule out this share of them.
            share = 1 - ((1 - LEVEL) / 2) ** (1 / max(self.num_events, 1))
            low, high = sorted(value + share * (end - value) for end in (self.worst, self.best))
            if not is_bounded:
                return Interval(value, np.nan, np.nan)
        bounds = sorted((self.worst, self.best)) if self.worst != self.best else (-np.inf, np.inf)
        return Interval(value, *(float(np.clip(end, *bounds)) for end in (low, high)))

    def minus(self, other: Measure) -> Interval:
        """The difference to the same measure of another model on the same windows."""
        low, high, _ = self._bootstrap(difference(self.weighted, other.weighted))
        largest = abs(self.best - self.worst) or np.inf
        return Interval(self.value - other.value, max(low, -largest), min(high, largest))

    @property
    def value(self) -> float:
        return float(self.weighted(np.ones((1, self.num_rows)))[0][0])

    def _bootstrap(self, weighted: Weighted) -> tuple[float, float, float]:
        if self.num_rows < 2:
            return np.nan, np.nan, np.nan
        with np.errstate(invalid="ignore"):
            return bootstrap_t(with_error(weighted), self.num_rows)


def best_f1_threshold(is_positive_W: np.ndarray, score_W: np.ndarray) -> float:
    """The score from which on (it included) taking windows for positive has the best F1; of several the lowest."""
    return _best_threshold(is_positive_W, score_W, lambda cells: cells.f1)


def best_mcc_threshold(is_positive_W: np.ndarray, score_W: np.ndarray) -> float:
    """The same of Matthews' correlation coefficient."""
    return _best_threshold(is_positive_W, score_W, lambda cells: cells.mcc)


def thresholds(judged: Mapping[Task, Judged]) -> dict[Task, float]:
    """Of the tasks that have one, chosen on these windows."""
    choose = {Task.DETECTION: best_f1_threshold, Task.IDENTIFICATION: best_mcc_threshold}
    return {task: choose[task](its.is_positive, its.score) for task, its in judged.items() if task in choose}


def measures(
    judged: Mapping[Task, Judged], scored: Mapping[Task, Judged], threshold: Mapping[Task, float], outlier_s: float
) -> Iterator[Measure]:
    """Every measure of one model. `scored`: the windows whose decisions at `threshold` count, which are not those that
    it was chosen on; all else is of all windows, `judged`."""
    for task, its in judged.items():
        if task == Task.ONSET:
            yield from _of_residuals(its, outlier_s)
            continue
        row_W, num_rows = rows_of_events(its.event)
        of_pairs = auc(its.is_positive, its.score, row_W, num_rows)
        yield Measure(task, "auc", of_pairs, num_rows, len(row_W), _rarer(its), worst=0, best=1)
        yield from _of_decisions(task, scored[task], threshold[task])


def _of_decisions(task: Task, its: Judged, threshold: float) -> Iterator[Measure]:
    row_W, num_rows = rows_of_events(its.event)
    cells_N4 = sums_by_row(confusion_features(its.is_positive, its.score >= threshold), row_W, num_rows)
    names = ("f1", "precision", "recall") if task == Task.DETECTION else ("mcc",)
    for name in names:
        weighted = of_sums(cells_N4, partial(_cell_score, name))
        worst = -1 if name == "mcc" else 0
        yield Measure(task, name, weighted, num_rows, len(row_W), _rarer(its), worst, 1, threshold)


def _of_residuals(its: Judged, outlier_s: float) -> Iterator[Measure]:
    for phase in PHASES:
        of_phase = its[its.is_positive == (phase == "P")]
        if not len(of_phase.event):
            continue
        row_W, num_rows = rows_of_events(of_phase.event)
        residual_s = of_phase.residual_s
        is_far = np.abs(residual_s) > outlier_s
        features = (np.ones_like(residual_s), residual_s, np.abs(residual_s), residual_s**2, is_far)
        sums_N5 = sums_by_row(np.stack(features, axis=1), row_W, num_rows)
        for name, (score, worst, best) in _RESIDUAL_SCORES.items():
            yield Measure(
                Task.ONSET,
                f"{phase.lower()}_{name}",
                of_sums(sums_N5, score),
                num_rows,
                len(row_W),
                num_rows,
                worst,
                best,
            )


def _best_threshold(is_positive_W: np.ndarray, score_W: np.ndarray, value: Callable[[Confusion], np.ndarray]) -> float:
    threshold_H = np.unique(score_W)
    order_W = np.argsort(score_W, kind="stable")
    reached_H = np.searchsorted(score_W[order_W], threshold_H)  # so many windows lie below it
    below_W = np.concatenate([[0], np.cumsum(is_positive_W[order_W])])
    fn_H, num_positive = below_W[reached_H], int(is_positive_W.sum())
    tn_H = reached_H - fn_H
    cells_H4 = np.stack([num_positive - fn_H, len(score_W) - num_positive - tn_H, fn_H, tn_H], axis=1).astype(float)
    return float(threshold_H[np.nanargmax(value(Confusion(cells_H4)))])


def _cell_score(name: str, sums_R4: np.ndarray) -> np.ndarray:
    return np.asarray(getattr(Confusion(sums_R4), name))


def _rarer(its: Judged) -> int:
    """Events of the kind of window of which there are fewer."""
    return min(len(np.unique(its.event[its.is_positive])), len(np.unique(its.event[~its.is_positive])))


def _mean_of(column: int, sums_R5: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums_R5[:, column] / sums_R5[:, 0]


def _std(sums_R5: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(_mean_of(3, sums_R5) - _mean_of(1, sums_R5) ** 2, 0))


def _rmse(sums_R5: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(_mean_of(3, sums_R5), 0))


_RESIDUAL_SCORES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float]] = {
    "mean_s": (partial(_mean_of, 1), 0, 0),
    "std_s": (_std, np.inf, 0),
    "mae_s": (partial(_mean_of, 2), np.inf, 0),
    "rmse_s": (_rmse, np.inf, 0),
    "outliers": (partial(_mean_of, 4), 1, 0),
}
"""Of sums of 1, residual, its absolute value, its square, and whether it is an outlier; with their worst and their best
value, the same of one that has neither."""
