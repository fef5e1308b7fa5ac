"""Charts of a whole sweep, out of its record: `charts.pareto_front(seisweep.load("distillation-1"))`.

Each takes a sweep and gives a matplotlib figure; a sweep that has nothing to show of its kind is a ValueError that says
why. Readable in print and by colour-blind readers: Okabe and Ito's colours or cividis, and never a colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seisweep.charts import over_seeds
from seisweep.charts.of_artifacts import confusion_matrices, residuals
from seisweep.charts.of_search import parallel_coordinates, pareto_front
from seisweep.charts.over_seeds import few_shot_key
from seisweep.charts.style import Curve, faint, finish, keep_to_the_bulk, style_of
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.fields import nearest
from seisweep.text import short_names
from trainables.export.drawing import BLUE, GREY

HIGHLIGHTED = 5
"""Trials that stand out in the learning curves of a search."""


def learning_curves(sweep: SweepResults) -> Figure:
    """The first objective over epochs, a line for each trial: of a search the best stand out, of several seeds each
    condition has its colour."""
    metric, direction = sweep.first_objective
    by_trial = _curves_by_trial(sweep, metric)
    if not any(len(curve) > 1 for curve in by_trial.values()):
        raise ValueError(f"no trial of {sweep.name} has a {metric} of two epochs")
    if sweep.has_seeds:
        numbers, found = list(sweep.runs), sweep.grouped(metric)
        curves = [[by_trial.get(numbers[place], []) for place in condition.trials] for condition in found]
        return over_seeds.learning_curves(found, curves, metric, direction)
    return _search_curves(sweep, by_trial)


def importances(sweep: SweepResults) -> Figure:
    """How much each setting matters for being among the best trials, as bars."""
    metric, _ = sweep.first_objective
    found = sweep.importances()[::-1]
    figure = Figure(figsize=(7, 1.3 + 0.36 * len(found)), layout="constrained")
    axes = figure.subplots()
    short = short_names(list(found.index))
    bars = axes.barh([short[key] for key in found.index], found, color=BLUE, height=0.65)
    axes.bar_label(bars, [f"{share:.0%}" for share in found], padding=3, fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.set(xlim=(0, 1.12 * found.max()), xlabel=f"share in being among the best by {metric} (PED-ANOVA)")
    done = int((sweep.trials["state"] == "done").sum())
    axes.set_title(f"what matters, by {done} finished trials", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def conditions(sweep: SweepResults) -> Figure:
    """With several seeds: each condition's seeds, mean and interval, and its differences from the baseline."""
    _needs_seeds(sweep)
    found = sweep.grouped()
    return over_seeds.conditions(found, sweep.baseline(found), *sweep.first_objective)


def few_shot(sweep: SweepResults) -> Figure:
    """With several seeds: the objective over the share of training events, with intervals."""
    _needs_seeds(sweep)
    found = sweep.grouped()
    key = few_shot_key(found)
    if key is None:
        raise ValueError(f"{sweep.name} has one share of the training events alone: no curve")
    return over_seeds.few_shot(found, key, sweep.first_objective[0])


Chart = Callable[[SweepResults], Figure]

CHARTS: dict[str, Chart] = {
    chart.__name__: chart
    for chart in (
        learning_curves,
        conditions,
        few_shot,
        parallel_coordinates,
        importances,
        pareto_front,
        confusion_matrices,
        residuals,
    )
}


def available(sweep: SweepResults) -> dict[str, Callable[[], Figure]]:
    """The charts that this sweep can have, by name; calling one gives the figure."""
    found: dict[str, Callable[[], Figure]] = {}
    for name, chart in CHARTS.items():
        if sweep.has_seeds and chart is parallel_coordinates:
            continue  # a grid is better seen by its conditions
        with suppress(ValueError):
            found[name] = partial(_as_it_is, chart(sweep))
    return found


def _as_it_is(figure: Figure) -> Figure:
    return figure


def chart_named(name: str) -> Chart:
    """Raises ValueError with the nearest names."""
    if name not in CHARTS:
        raise ValueError(f"no kind of chart is named {name}{nearest(name, CHARTS)}")
    return CHARTS[name]


def _search_curves(sweep: SweepResults, by_trial: dict[int, Curve]) -> Figure:
    metric, direction = sweep.first_objective
    done = sweep.trials.loc[list(by_trial)]
    done = done[(done["state"] == "done") & done[metric].notna()]
    best = list(done.sort_values(metric, ascending=direction == "min", kind="stable").index[:HIGHLIGHTED])
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
        value = sweep.trials.loc[number, metric]
        line = axes.plot(*zip(*by_trial[number], strict=True), style, color=colour, linewidth=1.8, zorder=3)[0]
        line.set(marker=marker, markersize=5, markevery=0.34, label=f"trial {number}: {value:.4g}")
    keep_to_the_bulk(axes, [value for curve in by_trial.values() for _, value in curve], direction)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel=metric)
    axes.set_title(f"every trial of {sweep.name}, and the best with what they ended at", fontsize=9)
    finish(axes, has_legend=True)
    return figure


def _curves_by_trial(sweep: SweepResults, metric: str) -> dict[int, Curve]:
    """Epoch and value of each trial, without the final report, which repeats the best epoch one step later."""
    curves = sweep.curves(metric)[metric].dropna()
    epochs = sweep.trials["epoch"]
    found: dict[int, Curve] = {}
    for trial, curve in curves.groupby(level="trial"):
        last = epochs[trial] or math.inf  # of a trial under way the epochs are not written down yet
        steps = curve.index.get_level_values("step")
        found[int(str(trial))] = [pair for pair in zip(steps.tolist(), curve.tolist(), strict=True) if pair[0] <= last]
    return found


def _needs_seeds(sweep: SweepResults) -> None:
    if not sweep.has_seeds:
        raise ValueError(f"{sweep.name} has one seed: conditions want several, as with --seed 0,1,2")
