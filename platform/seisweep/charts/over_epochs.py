"""Learning curves of a sweep: every trial over its epochs."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seisweep.charts import over_seeds
from seisweep.charts.chart import chart, reason_of
from seisweep.charts.style import Curve, faint, finish, keep_to_the_bulk, style_of
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.words import words_of
from seisweep.text import some
from trainables.export.drawing import GREY

HIGHLIGHTED = 5
"""Trials that stand out in the learning curves of a search."""
MARKERS = 12
"""Of a curve, about; each epoch has one where there are fewer."""


def _no_curves(sweep: SweepResults) -> str:
    metric = sweep.objective.metric
    if reason := reason_of(lambda: sweep.curves(metric)):
        return reason
    has_two = any(len(curve) > 1 for curve in _curves_by_trial(sweep, metric).values())
    return "" if has_two else f"no trial of {sweep.name} has a {metric} of two epochs"


@chart(lacking=_no_curves)
def learning_curves(sweep: SweepResults) -> Figure:
    """The first objective over epochs, a line for each trial: of a search the best stand out, of several seeds each
    condition has its colour."""
    by_trial = _curves_by_trial(sweep, sweep.objective.metric)
    if not sweep.has_seeds:
        return _search_curves(sweep, by_trial)
    numbers, found = list(sweep.runs), sweep.grouped(sweep.objective.metric)
    curves = [[by_trial.get(numbers[place], []) for place in condition.trials] for condition in found]
    return over_seeds.learning_curves(found, curves, sweep.objective)


def _search_curves(sweep: SweepResults, by_trial: dict[int, Curve]) -> Figure:
    metric = sweep.objective.metric
    best = [number for number in sweep.finished() if number in by_trial][:HIGHLIGHTED]
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    for number, curve in by_trial.items():
        if number not in best:
            axes.plot(*zip(*curve, strict=True), color=GREY, linewidth=0.6, alpha=faint(len(by_trial)), zorder=1)
            axes.plot(*curve[-1], ".", color=GREY, markersize=3, alpha=faint(len(by_trial)), zorder=1)
    if others := len(by_trial) - len(best):
        axes.plot([], [], ".-", color=GREY, linewidth=0.6, label=f"{others} other trials")
    for place, number in enumerate(best):
        colour, style, marker = style_of(place)
        value = sweep.run(number).data.metrics[metric]
        line = axes.plot(*zip(*by_trial[number], strict=True), style, color=colour, linewidth=1.8, zorder=3)[0]
        every = max(1, len(by_trial[number]) // MARKERS)
        line.set(marker=marker, markersize=5, markevery=every, label=f"trial {number}: {value:.4g}")
    keep_to_the_bulk(axes, [value for curve in by_trial.values() for _, value in curve], sweep.objective)
    if outside := _outside(by_trial, *axes.get_ylim()):
        axes.plot([], [], " ", label=f"(out of the picture: {outside})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel=words_of(metric))
    axes.set_title(f"every trial of {sweep.name}, and the best with the score of their best weights", fontsize=9)
    finish(axes, has_legend=True)
    return figure


def _outside(by_trial: dict[int, Curve], low: float, high: float) -> str:
    """Trials that cannot be seen, by number: all of their values lie beyond the axis."""
    unseen = [n for n, curve in by_trial.items() if not any(low <= value <= high for _, value in curve)]
    return some([f"trial {number}" for number in unseen], HIGHLIGHTED)


def _curves_by_trial(sweep: SweepResults, metric: str) -> dict[int, Curve]:
    """Epoch and value of each trial."""
    found: dict[int, Curve] = {}
    for trial, curve in sweep.curves(metric)[metric].dropna().groupby(level="trial"):
        steps = curve.index.get_level_values("step")
        found[int(str(trial))] = list(zip(steps.tolist(), curve.tolist(), strict=True))
    return found
