"""Tables of trials: the best ones, their ONNX files, the front, what failed, who took over from whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seisweep.record import tags
from seisweep.record.mlflow_pages import run_page
from seisweep.record.mlflow_server import base_url
from seisweep.report.cells import Cell, Heading, Table, cell, heading, table
from seisweep.results.best_and_last import whose_scores
from seisweep.results.sweep_results import SweepResults
from seisweep.results.tables import params_of
from seisweep.statistics import certainty
from trainables import metrics

TOP = 10
TOP_EXPLOITS = 30
TOP_FRONT = 30
TOP_REASONS = 20
SCORES = (metrics.DEV_F1, metrics.DEV_MACRO_F1, metrics.DEV_ACCURACY, metrics.DEV_LOSS)
"""What the table of the best trials has beside the objectives, where some trial has it."""
MODELS = (
    metrics.PARAMETERS,
    metrics.FP32_F1,
    metrics.INT8_F1,
    metrics.INT8_F1_LOSS,
    metrics.INT8_ACCEPTED,
    metrics.FP32_BYTES,
    metrics.INT8_BYTES,
    metrics.INT8_SIZE_RATIO,
    metrics.FP32_LATENCY_MS,
    metrics.INT8_LATENCY_MS,
    metrics.INT8_LATENCY_RATIO,
)
"""What the table of their ONNX files has."""
STATES = {
    "done": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "not over",
}


def best_trials(sweep: SweepResults, ordered: list[int], best: int | None) -> Table:
    """How the best ones did, and with which settings."""
    scores = [name for name in dict.fromkeys((*sweep.objectives, *SCORES)) if name in sweep.metrics]
    varied = [key for key in sweep.params if key != tags.SEED]
    columns = ["epoch", *([tags.SEED] if sweep.has_seeds else []), *_with_intervals(sweep, scores), *varied]
    of_all = [(run.data.metrics, params_of(run)) for run in sweep.runs.values()]
    teachers = certainty.teachers(of_all, scores)
    rows = [[Cell(certainty.TEACHER), Cell(""), *_cells(one.metrics, one.params, columns)] for one in teachers]
    for number in ordered[:TOP]:
        values, facts = sweep.trials.loc[number], sweep.run(number).data.tags
        state = Cell(STATES.get(facts.get(tags.STATE, ""), ""), title=facts.get(tags.REASON, ""))
        rows.append([_linked(sweep, number), state, *_cells(sweep.run(number).data.metrics, values, columns)])
    few = len(ordered) > TOP
    which = f"The first {TOP} of {len(ordered):,} trials" if few else "All trials"
    whose = whose_scores(sweep)
    words = f"{which} by {sweep.objective.metric}, those that finished before the others. " if rows[1:] else ""
    words += f"{whose[0].upper()}{whose[1:]}."
    headings = [Heading("trial"), Heading("state"), *map(heading, columns)]
    return Table(words, headings, rows, None if best is None else len(teachers))


def _with_intervals(sweep: SweepResults, scores: list[str]) -> list[str]:
    """Columns of scores, behind each that has one the column of its interval."""
    beside = certainty.scores_with_intervals(scores, [run.data.metrics for run in sweep.runs.values()])
    return [key for name in scores for key in (name, *([certainty.heading(name)] if name in beside else []))]


def _cells(measured: Mapping[str, Any], values: Any, columns: list[str]) -> Iterator[Cell]:
    """A row of `values` (a trial's row, or settings by key); what was `measured` has the intervals, and what lacks."""
    for key in columns:
        if (score := key.removesuffix(f" {certainty.LEVEL}")) != key:
            found = certainty.interval_of(measured, score)
            yield cell(str(found) if found else None)
        else:
            yield cell(values.get(key, measured.get(key)), key)


def models(sweep: SweepResults, ordered: list[int], best: int | None) -> Table | None:
    columns = _with_intervals(sweep, [name for name in MODELS if name in sweep.metrics])
    if metrics.INT8_BYTES not in columns:
        return None
    rows = [
        [_linked(sweep, number), *_cells(sweep.run(number).data.metrics, sweep.trials.loc[number], columns)]
        for number in ordered[:TOP]
    ]
    words = "Their ONNX files: FP32 and INT8 on the same dev windows, bytes, and latency of a window on one thread."
    return Table(words, [Heading("trial"), *map(heading, columns)], rows, None if best is None else 0)


def front(sweep: SweepResults, best: int | None) -> Table | None:
    """Trials that no other is at least as good as in everything and better than in something."""
    if len(sweep.objectives) < 2 or best is None:
        return None
    try:
        front = sweep.pareto()
    except ValueError:
        return None
    extra = [
        name for name in (metrics.INT8_F1, metrics.INT8_ACCEPTED) if name in front and name not in sweep.objectives
    ]
    shown = front.reset_index()[["trial", *sweep.objectives, *extra, *sweep.params]].head(TOP_FRONT)
    words = f"Pareto set: the {len(front)} trials that no other trial beats in every objective."
    return table(words, [{str(key): value for key, value in row.items()} for row in shown.to_dict("records")])


def failures(sweep: SweepResults) -> Table | None:
    """By reason, the most frequent first."""
    by_reason: dict[str, list[int]] = {}
    for number, run in sweep.runs.items():
        if run.data.tags.get(tags.STATE) == "failed":
            by_reason.setdefault(run.data.tags.get(tags.REASON, "") or "no reason on record", []).append(number)
    if not by_reason:
        return None
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    rows: list[dict[str, Any]] = [
        {"reason": reason, "trials": len(numbers), "which": _numbers(numbers)} for reason, numbers in ordered
    ]
    total = sum(map(len, by_reason.values()))
    return table(f"{total:,} of {len(sweep.runs):,} trials failed.", rows[:TOP_REASONS])


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:TOP])) + (" ..." if len(numbers) > TOP else "")


def exploits(sweep: SweepResults) -> Table | None:
    taken = sweep.exploits
    if taken.empty:
        return None
    rows = [{str(key): value for key, value in row.items()} for row in taken.head(TOP_EXPLOITS).to_dict("records")]
    return table("Population: which trial went on from whose weights, and with which settings.", rows)


def _linked(sweep: SweepResults, number: int) -> Cell:
    """A trial's number, which leads to its run."""
    info = sweep.run(number).info
    return Cell(str(number), True, base_url(sweep.tracking_uri) + run_page(info.experiment_id, info.run_id))
