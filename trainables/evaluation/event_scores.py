"""Counts by event of a picker and of a classifier, and the 95 % intervals of their scores as metrics."""

# B window of a batch, C true class, G event, K predicted class, N window, P phase, F field (true, false, missed)

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from trainables import metrics
from trainables.data.batches import Batch, DevWindows
from trainables.data.config import PHASES
from trainables.evaluation.bootstrap import f1_interval
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.picks import PickConfig, count_windows

Probabilities = Callable[[Batch], np.ndarray]
"""A picker's answer to a batch, (B, C, T)."""


def count_by_event(
    probabilities: Probabilities,
    dev: DevWindows,
    thresholds: Mapping[str, float],
    picks: PickConfig,
    batch_size: int,
) -> EventCounts:
    """What a picker gets right and wrong on the dev windows, at these thresholds."""
    counted = [
        count_windows(probabilities(batch), arrivals, thresholds, picks) for batch, arrivals in dev.batches(batch_size)
    ]
    rows = [PHASES.index(phase) for phase in dev.phases]
    return EventCounts.of_events(dev.events, np.concatenate(counted)[:, rows], dev.phases)


def picking_intervals(counts: EventCounts, split: str) -> dict[str, float]:
    """`dev/f1_low`, `dev/f1_high`, and the same of each phase."""
    found: dict[str, float] = {}
    for phase in (None, *counts.phases):
        names = metrics.interval(metrics.picking(split, phase, "f1"))
        found |= zip(names, f1_interval(counts.only(phase)), strict=True)
    return found


def class_counts(label_N: np.ndarray, predicted_N: np.ndarray, event_N: np.ndarray, num_classes: int) -> EventCounts:
    """The same of a classifier: a window is true for its class where that is what it was taken for; else missed there,
    and false for the other one."""
    counts_NCF = np.zeros((len(label_N), num_classes, 3), dtype=np.int64)
    row_N, right_N = np.arange(len(label_N)), label_N == predicted_N
    counts_NCF[row_N[right_N], label_N[right_N], 0] = 1
    counts_NCF[row_N[~right_N], predicted_N[~right_N], 1] = 1
    counts_NCF[row_N[~right_N], label_N[~right_N], 2] = 1
    return EventCounts.of_events(event_N, counts_NCF, [f"class_{label}" for label in range(num_classes)])


def classification_intervals(counts: EventCounts, split: str) -> dict[str, float]:
    """`dev/macro_f1_low`, `dev/macro_f1_high`, and the same of the accuracy, which is the F1 of all classes at once."""
    found: dict[str, float] = {}
    for name, of in (("macro_f1", counts), ("accuracy", counts.pooled())):
        found |= zip(metrics.interval(metrics.classification(split, name)), f1_interval(of), strict=True)
    return found
