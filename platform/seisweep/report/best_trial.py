"""The best trial in detail: its settings, its scores in every form, what the record says of it in words."""

from __future__ import annotations

import json

from seisweep.record import tags
from seisweep.report.cells import Cell, Facts, Heading, Table, cell, in_text
from seisweep.results.runs import seconds_of
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics import certainty
from seisweep.text import show_seconds
from trainables import metrics
from trainables.export.artifacts import GATE_TAG

SIDE_BY_SIDE = {
    "dev": "PyTorch",
    metrics.UNCALIBRATED: "before calibration",
    "fp32": "FP32 ONNX",
    "int8": "INT8 ONNX",
    "teacher": "its teacher",
}
"""Groups of metrics that say the same of several forms of one model, and of who taught it."""


def settings(sweep: SweepResults, best: int) -> Facts:
    row = sweep.trials.loc[best]
    mine = sweep.run(best).data.params
    return [(key, in_text(row[key])) for key in sweep.params if key in mine]


def metrics_of(sweep: SweepResults, best: int) -> tuple[Table | None, Facts]:
    """Scores side by side where the model exists in several forms, and all other metrics but those of agreement."""
    given = sweep.run(best).data.metrics
    values = {name: value for name, value in given.items() if not name.startswith(f"{metrics.AGREEMENT}/")}
    known = {name: found for name in values if (found := certainty.interval_of(values, name))}
    for name in known:
        for end in metrics.interval(name):
            del values[end]

    def shown(name: str) -> Cell:
        plain = cell(values.pop(name, None), name)
        return Cell(f"{plain.text} ({known[name]})") if name in known else plain

    forms = [form for form in SIDE_BY_SIDE if any(name.startswith(f"{form}/") for name in values)]
    names: dict[str, None] = {}
    for form in forms:
        names |= {name.partition("/")[2]: None for name in sorted(values) if name.startswith(f"{form}/")}
    if len(forms) < 2:
        return None, [(name, shown(name).text) for name in sorted(values)]
    together = sorted((name for name in names if sum(f"{form}/{name}" in values for form in forms) > 1), key=_phase)
    rows: list[list[Cell]] = [[Cell(name), *(shown(f"{form}/{name}") for form in forms)] for name in together]
    headings = [Heading("on the dev split"), *(Heading(SIDE_BY_SIDE[form]) for form in forms)]
    caption = f"Trial {best} as PyTorch model and as ONNX files, at the thresholds chosen on dev."
    caption += f" In brackets: {certainty.LEVEL} intervals, by the bootstrap over dev events." if known else ""
    return Table(caption, headings, rows), [(name, in_text(value)) for name, value in sorted(values.items())]


def _phase(name: str) -> tuple[int, str]:
    """The whole first, then P, then S, then what is not a score."""
    start = name.partition("_")[0]
    return {"f1": 0, "p": 1, "s": 2}.get(start, 3), name


def remarks(sweep: SweepResults, best: int) -> Facts:
    """What only this trial's run says in words."""
    facts = sweep.tags(best)
    own = {
        GATE_TAG: "gate",
        metrics.CALIBRATION: "calibration",
        "hints": "hint",
        tags.CHANGED: "went on with other settings",
    }
    rows = [(words, facts[key]) for key, words in own.items() if facts.get(key)]
    if (seconds := seconds_of(sweep.run(best).info)) is not None:
        rows.append(("trained for", show_seconds(seconds)))
    return rows


def whole_config(sweep: SweepResults, best: int) -> str:
    try:
        return json.dumps(sweep.config(best), indent=2)
    except (OSError, ValueError):
        return ""
