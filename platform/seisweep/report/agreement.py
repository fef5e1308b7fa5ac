"""How far the best trial agrees with its teacher on hours of continuous waveforms that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping

from seisweep.report.cells import Cell, Heading, Table, cell
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics import certainty
from trainables import metrics
from trainables.data.config import PHASES

COLUMNS = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "residual_mean_s": "mean residual (s)",
    "residual_mae_s": "mean absolute residual (s)",
    "residual_std_s": "standard deviation (s)",
    "picks": "picks of the reference",
}

WHAT_IT_IS = (
    "The picks of the teacher are the reference: a pick within the tolerance of one agrees, at the thresholds that dev "
    "has chosen. This is not truth: a student that repeats its teacher's errors agrees with it. Where no records are "
    "labelled, best epoch and thresholds were chosen on these hours, which flatters; promote opens others."
)

TWO_TEACHERS = (
    "There are two teachers: the picks that both make are the reference, and picks that only one makes are not counted"
)


def agreement(sweep: SweepResults, best: int) -> Table | None:
    """A row for both phases and for each; None of a trial that learned from no streams."""
    values = sweep.run(best).data.metrics
    rows = []
    for phase in (None, *PHASES):
        names = {column: metrics.picking(metrics.AGREEMENT, phase, column) for column in COLUMNS}
        if names["f1"] in values:
            rows.append([Cell(phase or "P and S"), *(_shown(values, name) for name in names.values())])
    if not rows:
        return None
    alone = values.get(metrics.picking(metrics.AGREEMENT, None, "picks_of_one_teacher"))
    second = "" if alone is None else f" {TWO_TEACHERS} ({alone:.0f})."
    caption = (
        f"{WHAT_IT_IS}{second} In brackets: {certainty.LEVEL} intervals (bootstrap over blocks of time and station)."
    )
    return Table(caption, [Heading("agreement on"), *(Heading(words) for words in COLUMNS.values())], rows)


def _shown(values: Mapping[str, float], name: str) -> Cell:
    plain = cell(values.get(name), name)
    ends = certainty.interval_of(values, name)
    return Cell(f"{plain.text} ({ends})") if ends else plain
