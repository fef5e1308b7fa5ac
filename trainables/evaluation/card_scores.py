"""Scores of a model card, each with its 95 % interval over events.

F1 and accuracy have the interval that `results` and reports give the same counts (`bootstrap.py`), all other scores the
plain percentiles of `intervals.py`.
"""

# C true class, F field, G event, K predicted class, N window, P phase

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from trainables import metrics
from trainables.data.config import PHASES
from trainables.evaluation import classification
from trainables.evaluation.counts import FIELDS, EventCounts
from trainables.evaluation.event_scores import classification_intervals, picking_intervals
from trainables.evaluation.intervals import Interval, bootstrap, by_group
from trainables.evaluation.picks import FIELDS as PICK_FIELDS
from trainables.evaluation.picks import scores_of

_DURATION = PICK_FIELDS.index("duration_s")


def picking_counts(counts_NPF: np.ndarray, event_N: np.ndarray) -> EventCounts:
    """Of windows (N, phase, field), fields as in `picks.FIELDS`: those of phases that were looked for."""
    rows = [row for row in range(len(PHASES)) if counts_NPF[:, row, _DURATION].any()] or list(range(len(PHASES)))
    return EventCounts.of_events(event_N, counts_NPF[:, rows, : len(FIELDS)], [PHASES[row] for row in rows])


def picking_scores(
    counts_NPF: np.ndarray, event_N: np.ndarray, thresholds: Mapping[str, float], split: str
) -> dict[str, Interval]:
    """Of a picker, by metric without its split: `f1`, `p_precision`, `s_residual_mae_s` ..."""
    found = bootstrap(by_group(counts_NPF, event_N), partial(scores_of, thresholds=thresholds, split=split))
    found = {name: one for name, one in found.items() if not name.endswith("_threshold")}
    return _named(found, picking_intervals(picking_counts(counts_NPF, event_N), split))


def classification_scores(confusion_NCK: np.ndarray, event_N: np.ndarray, split: str) -> dict[str, Interval]:
    """Of a classifier, from a confusion matrix of each window: `macro_f1`, `accuracy`, `class_0_f1` ..."""
    found = bootstrap(
        by_group(confusion_NCK, event_N), lambda sums_CK: classification.scores(torch.from_numpy(sums_CK), split)
    )
    right_NC = np.diagonal(confusion_NCK, axis1=1, axis2=2)
    fields = right_NC, confusion_NCK.sum(axis=1) - right_NC, confusion_NCK.sum(axis=2) - right_NC
    names = [f"class_{label}" for label in range(confusion_NCK.shape[1])]
    counts = EventCounts.of_events(event_N, np.stack(fields, axis=-1), names)
    return _named(found, classification_intervals(counts, split))


def _named(found: Mapping[str, Interval], ends: Mapping[str, float]) -> dict[str, Interval]:
    """By metric without its split, with the ends that are known elsewhere in the place of its own."""
    scores = {}
    for name, one in found.items():
        low, high = metrics.interval(name)
        known = one._replace(low=ends[low], high=ends[high]) if low in ends else one
        scores[name.partition("/")[2]] = known
    return scores
