"""The teacher's own scores on the windows that its students are measured on: what there is to reach, or to pass."""

# B window of a batch, C class, P phase, H height threshold, N window, F field (true, false, missed)

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from trainables import metrics
from trainables.data.batches import DevWindows, heard
from trainables.data.config import PHASES
from trainables.evaluation.counts import EventCounts, read_counts, write_counts
from trainables.evaluation.event_scores import picking_intervals
from trainables.evaluation.picks import FIELDS, THRESHOLDS, PickConfig, PickCounts, best_thresholds, count_picks
from trainables.models.interface import Interface

FORMAT = 1
"""Raised when what is counted, or how, changes: older counts are then not read again."""

BATCH = 64
COUNTED = [FIELDS.index(field) for field in ("tp", "fp", "fn")]


def teacher_on_dev(
    teacher: nn.Module,
    digests: Sequence[str],
    dev: DevWindows,
    picks: PickConfig,
    cache_dir: Path,
    student: Interface,
) -> EventCounts:
    """Its counts by dev event, each phase at the threshold with the best F1, as students choose theirs.

    `digests` say which weights it has, `student` how it answers. Counted once for all trials and then read from the
    cache; of several processes that ask at once, one counts and the others wait.
    """
    facts = [FORMAT, list(digests), dev.fingerprint, dev.windows_per_trace, picks.model_dump(mode="json")]
    if not student.is_distribution:
        facts.append("curves")
    if not dev.is_masked:
        facts.append(dev.config.missing_phase)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    file = cache_dir / "teachers" / f"{key}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            write_counts(file, {"teacher": _count(teacher, dev, picks, student)})
    return read_counts(file)["teacher"]


def teacher_scores(counts: EventCounts) -> dict[str, float]:
    """`teacher/f1`, `teacher/p_f1`, `teacher/s_f1`, with their intervals."""
    scores = {metrics.picking("teacher", phase, "f1"): counts.f1(phase) for phase in (None, *counts.phases)}
    return scores | picking_intervals(counts, "teacher")


@torch.no_grad()
def _count(teacher: nn.Module, dev: DevWindows, picks: PickConfig, student: Interface) -> EventCounts:
    """All thresholds of every window are counted in one pass; the best ones are known after it."""
    counts_NPHF: list[np.ndarray] = []
    total = PickCounts.zeros()
    for batch, arrivals in dev.batches(BATCH):
        probabilities_BCT: Tensor = student.probabilities(teacher(heard(batch)).float()).cpu()
        for b, of_window in enumerate(arrivals):
            counted = count_picks(probabilities_BCT[b : b + 1], [of_window], picks)
            total += counted
            counts_NPHF.append(counted.tensor[..., COUNTED].numpy().astype(np.int16))
    chosen = best_thresholds(total)
    columns = [THRESHOLDS.index(chosen[phase]) for phase in PHASES]
    at_best_NPF = np.stack([window[range(len(PHASES)), columns] for window in counts_NPHF])
    rows = [PHASES.index(phase) for phase in dev.phases]
    return EventCounts.of_events(dev.events, at_best_NPF[:, rows], dev.phases)
