"""What a sweep with several seeds leaves for its readers: its conditions as a table, and figures of them."""

from __future__ import annotations

import math
from pathlib import Path

from search_spaces.sweep import Sweep
from seisweep.charts import over_seeds
from seisweep.charts.over_seeds import few_shot_key
from seisweep.charts.style import Curve
from seisweep.record.ledger import Ledger, TrialRecord
from seisweep.statistics.conditions import Baseline, Measured, as_frame, group
from seisweep.statistics.confirmation import as_frame as as_judged
from seisweep.statistics.confirmation import named
from seisweep.statistics.objective import Objective
from trainables.atomic import whole_folder
from trainables.edge.spreadsheet import as_cell
from trainables.export.drawing import save


def write_conditions(sweep: Sweep, ledger: Ledger, folder: Path) -> Path | None:
    """`conditions.csv`, `conditions.png`, `learning_curves.png` and, where the share of training events varies,
    `few_shot.png`. The folder appears whole. None where no condition has values of two seeds.
    """
    objective = Objective.first(sweep.objectives)
    metric = objective.metric
    records = [record for _, record in sorted(ledger.trials.items())]
    conditions = group(Measured(record.params, record.seed, _value(record, metric)) for record in records)
    if not any(len(condition.values) > 1 for condition in conditions):
        return None
    if sweep.confirms is not None:
        conditions = named(conditions, sweep.confirms)
    baseline = Baseline.usual(conditions, sweep.baseline)
    by_trial = _curves(ledger, metric)
    curves = [[by_trial.get(records[place].number, []) for place in one.trials] for one in conditions]
    frame = as_judged(conditions, sweep.confirms) if sweep.confirms else as_frame(conditions, baseline)
    with whole_folder(folder) as arriving:
        frame.map(as_cell).rename(columns=as_cell).to_csv(arriving / "conditions.csv", index=False)
        save(over_seeds.conditions(conditions, baseline, objective), arriving / "conditions.png")
        save(over_seeds.learning_curves(conditions, curves, objective), arriving / "learning_curves.png")
        if key := few_shot_key(conditions):
            save(over_seeds.few_shot(conditions, key, metric), arriving / "few_shot.png")
    return folder


def _value(record: TrialRecord, metric: str) -> float | None:
    return record.metrics.get(metric) if record.state == "done" else None


def _curves(ledger: Ledger, metric: str) -> dict[int, Curve]:
    """Epoch and value of every report of an epoch, by trial; the final report repeats one of them."""
    found: dict[int, Curve] = {}
    for report in ledger.reports():
        value = report.metrics.get(metric, math.nan)
        if not report.final and math.isfinite(value):
            found.setdefault(report.trial, []).append((report.epoch, value))
    return found
