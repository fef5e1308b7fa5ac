"""Scores of `evaluate` as tables: of one data set in full, of several the F1s of each model beside each other."""

# B window of a batch, H height threshold, N window, P phase, F field (true, false, missed)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seisweep.artifacts.pickers import Picker
from seisweep.commands.interval_cells import with_ends
from trainables.data.batches import DevWindows
from trainables.data.config import PHASES
from trainables.evaluation.bootstrap import f1_interval, paired_f1_difference
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.intervals import Interval
from trainables.evaluation.picks import (
    FIELDS,
    THRESHOLDS,
    PickConfig,
    PickCounts,
    best_thresholds,
    count_each,
    scores,
)
from trainables.training.picker import EVALUATION_BATCH

_COUNTED = [FIELDS.index(field) for field in ("tp", "fp", "fn")]
_NAMES = ("f1", "precision", "recall", "threshold", "residual_mean_s", "residual_mae_s", "residual_std_s")


@dataclass(frozen=True)
class Scored:
    """One picker, or a mean of several, on the dev windows of one data set."""

    name: str
    scores: Mapping[str, float]
    """As `picks.scores` names them."""
    counts: EventCounts
    """By event, at the thresholds."""

    def f1(self, phase: str | None) -> Interval | None:
        """With its 95 % interval; of None the mean of the phases; None for a phase that is not labelled."""
        if phase is not None and phase not in self.counts.phases:
            return None
        return Interval(self.counts.f1(phase), *f1_interval(self.counts.only(phase)))

    def minus(self, other: Scored) -> Interval:
        """The difference of the mean F1s on the same events."""
        return Interval(*paired_f1_difference(self.counts, other.counts))


def score(
    pickers: Sequence[Picker],
    dev: DevWindows,
    config: PickConfig,
    means: Mapping[str, Sequence[Picker]],
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Scored]:
    """Each picker, then each mean of several pickers' probabilities. `thresholds`: of each of them by its name and by
    phase; None: the best on these windows."""
    every = [*(picker.name for picker in pickers), *means]
    heights = {name: tuple(sorted(set(thresholds[name].values()))) if thresholds else THRESHOLDS for name in every}
    total = {name: PickCounts.zeros(heights[name]) for name in every}
    by_window: dict[str, list[np.ndarray]] = {name: [] for name in every}
    for batch, arrivals in dev.batches(EVALUATION_BATCH):
        answers = {picker.name: picker.probabilities(batch) for picker in pickers}
        for name, members in means.items():
            answers[name] = np.mean([answers[member.name][:, : len(PHASES)] for member in members], axis=0)
        for name, probabilities_BCT in answers.items():
            for counted in count_each(probabilities_BCT, arrivals, config, heights[name]):
                total[name] += counted
                by_window[name].append(counted.tensor[..., _COUNTED].numpy().astype(np.int32))
    found = []
    for name in every:
        chosen = thresholds[name] if thresholds else best_thresholds(total[name])
        columns = [heights[name].index(chosen[phase]) for phase in PHASES]
        counts_NPF = np.stack(by_window[name])[:, range(len(PHASES)), columns]
        rows = [PHASES.index(phase) for phase in dev.phases]
        counts = EventCounts.of_events(dev.events, counts_NPF[:, rows], dev.phases)
        found.append(Scored(name, scores(total[name], chosen), counts))
    return found


def in_full(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Of each one row for P, one for S, and their mean."""
    return [row for one in scored for row in _three_rows(one)]


def _three_rows(one: Scored) -> list[dict[str, Any]]:
    rows = []
    for phase in (*PHASES, None):
        if phase is None:
            values = dict.fromkeys(_NAMES) | {"f1": one.scores["dev/f1"]}
        else:
            values = {metric: one.scores.get(f"dev/{phase.lower()}_{metric}") for metric in _NAMES}
        interval = one.f1(phase)
        ends = {"f1_low": interval and interval.low, "f1_high": interval and interval.high}
        row = {"model": one.name, "phase": phase or "both", "f1": values.pop("f1"), **ends, **values}
        rows.append(row | {"false_per_hour": None if phase else one.scores["dev/false_picks_per_hour"]})
    return rows


def beside_each_other(of_each: Mapping[str, Sequence[Scored]]) -> list[dict[str, Any]]:
    """A row for each model. Of each data set, by its name: the mean F1, that of P and of S, and the difference of the
    mean to the first model's on the same events, each with the ends of its 95 % interval."""
    rows: dict[str, dict[str, Any]] = {}
    for dataset, scored in of_each.items():
        for one in scored:
            row = rows.setdefault(one.name, {"model": one.name})
            for title, phase in (("f1", None), ("p_f1", "P"), ("s_f1", "S")):
                row |= with_ends(f"{dataset} {title}", one.f1(phase))
            if len(scored) > 1:
                row |= with_ends(f"{dataset} minus_first", None if one is scored[0] else one.minus(scored[0]))
    return list(rows.values())
