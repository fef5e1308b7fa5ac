"""What a sweep with several seeds leaves for its readers: its conditions as a table, and figures of them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from search_spaces.sweep import Sweep
from seisweep import plots
from seisweep.conditions import Baseline, Condition, Measured, as_frame, group
from seisweep.ledger import Ledger, TrialRecord
from seisweep.verdict import as_frame as as_judged
from seisweep.verdict import named
from trainables.export.drawing import save

FEW_SHOT = "few_shot_fraction"
"""Last part of the key that says which share of the training events a trial learns from."""


def write_suite(sweep: Sweep, ledger: Ledger, folder: Path) -> Path | None:
    """`conditions.csv`, `conditions.png`, `learning_curves.png` and, where the share of training events varies,
    `few_shot.png`. The folder appears whole. None where no condition has values of two seeds.
    """
    metric, direction = sweep.first_objective
    records = [record for _, record in sorted(ledger.trials.items())]
    conditions = group(Measured(record.params, record.seed, _value(record, metric)) for record in records)
    if not any(len(condition.values) > 1 for condition in conditions):
        return None
    if sweep.confirms is not None:
        conditions = named(conditions, sweep.confirms)
    baseline = Baseline.usual(conditions, sweep.baseline)
    by_trial = _curves(ledger, metric)
    curves = [[by_trial.get(records[place].number, []) for place in one.trials] for one in conditions]
    arriving = folder.with_name(f".{folder.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    frame = as_judged(conditions, sweep.confirms) if sweep.confirms else as_frame(conditions, baseline)
    frame.to_csv(arriving / "conditions.csv", index=False)
    save(plots.conditions(conditions, baseline, metric, direction), arriving / "conditions.png")
    save(plots.learning_curves(conditions, curves, metric, direction), arriving / "learning_curves.png")
    if key := few_shot_key(conditions):
        save(plots.few_shot(conditions, key, metric), arriving / "few_shot.png")
    shutil.rmtree(folder, ignore_errors=True)
    arriving.rename(folder)
    return folder


def few_shot_key(conditions: Sequence[Condition]) -> str | None:
    """The key of the share of training events, where it varies; else None."""
    for key in dict.fromkeys(key for condition in conditions for key in condition.params):
        if key.rpartition(".")[2] == FEW_SHOT and len({condition.params.get(key) for condition in conditions}) > 1:
            return key
    return None


def _value(record: TrialRecord, metric: str) -> float | None:
    return record.metrics.get(metric) if record.state == "done" else None


def _curves(ledger: Ledger, metric: str) -> dict[int, plots.Curve]:
    """Epoch and value of every report of an epoch, by trial; the final report repeats one of them."""
    found: dict[int, plots.Curve] = {}
    for report in ledger.reports():
        value = report.metrics.get(metric, math.nan)
        if not report.final and math.isfinite(value):
            found.setdefault(report.trial, []).append((report.epoch, value))
    return found
