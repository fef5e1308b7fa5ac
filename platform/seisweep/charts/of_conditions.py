"""Charts of a sweep with several seeds: its conditions, and the curve over the share of training events."""

from __future__ import annotations

from matplotlib.figure import Figure

from seisweep.charts import over_seeds
from seisweep.charts.chart import chart, reason_of
from seisweep.results.sweep_results import SweepResults


def _one_seed(sweep: SweepResults) -> str:
    if not sweep.has_seeds:
        return f"{sweep.name} has one seed: conditions need several, as with --seed 0,1,2"
    return reason_of(sweep.grouped)


def _one_share(sweep: SweepResults) -> str:
    if reason := _one_seed(sweep):
        return reason
    if over_seeds.few_shot_key(sweep.grouped()) is None:
        return f"{sweep.name} has only one share of the training events, so there is no curve"
    return ""


@chart(lacking=_one_seed)
def conditions(sweep: SweepResults) -> Figure:
    """With several seeds: each condition's seeds, mean and interval, and its differences from the baseline."""
    found = sweep.grouped()
    return over_seeds.conditions(found, sweep.baseline(found), sweep.objective)


@chart(lacking=_one_share)
def few_shot(sweep: SweepResults) -> Figure:
    """With several seeds: the objective over the share of training events, with intervals."""
    found = sweep.grouped()
    key = over_seeds.few_shot_key(found)
    assert key is not None
    return over_seeds.few_shot(found, key, sweep.objective.metric)
