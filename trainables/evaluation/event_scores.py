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
from trainables.evaluation.picks import FIELDS, PickConfig, fields_of_windows, other_phase

Probabilities = Callable[[Batch], np.ndarray]
"""A picker's answer to a batch, (B, C, T)."""


def count_by_event(
    probabilities: Probabilities,
    dev: DevWindows,
    thresholds: Mapping[str, float],
    picks: PickConfig,
    batch_size: int,
) -> tuple[EventCounts, EventCounts]:
    """What a picker gets right and wrong on the dev windows, at these thresholds; and which phase it takes for the
    other, as `MISTAKEN` has it."""
    fields_NPF = np.concatenate(
        [
            fields_of_windows(probabilities(batch), arrivals, thresholds, picks)
            for batch, arrivals in dev.batches(batch_size)
        ]
    )
    rows = [PHASES.index(phase) for phase in dev.phases]
    counts = EventCounts.of_events(dev.events, fields_NPF[:, rows, :3], dev.phases)
    return counts, _mistaken_counts(dev.events, mistaken_of(fields_NPF))


def mistaken_of(fields_NPF: np.ndarray) -> np.ndarray:
    """Of the fields of windows (N, P, F) the arrivals of the other phase that were picked as this one, and those that
    were not (N, P, 2); none where a phase was not looked for."""
    mistaken_NP, others_NP = (fields_NPF[..., FIELDS.index(name)].astype(np.int64) for name in ("mistaken", "others"))
    return np.stack([mistaken_NP, others_NP - mistaken_NP], axis=-1)


def _mistaken_counts(event_N: np.ndarray, mistaken_NPF: np.ndarray) -> EventCounts:
    """Only of phases whose other one has arrivals at all."""
    rows = [row for row in range(len(PHASES)) if mistaken_NPF[:, row].any()]
    names = [f"{PHASES[row].lower()}_{metrics.picks_on(other_phase(PHASES[row]))}" for row in rows]
    return EventCounts.of_events(event_N, mistaken_NPF[:, rows][..., [0, 1, 1]], names)


def mistaken_intervals(mistaken: EventCounts, split: str) -> dict[str, float]:
    """`dev/s_picks_on_p_share_low`, `dev/s_picks_on_p_share_high`, and those of `dev/p_picks_on_s_share`."""
    found: dict[str, float] = {}
    for name in mistaken.phases:
        found |= zip(metrics.interval(f"{split}/{name}"), f1_interval(mistaken.only(name)), strict=True)
    return found


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
