"""Accuracy against what it costs: the front of the trials that no other one dominates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from seisweep.charts.chart import chart, reason_of
from seisweep.charts.style import LOG_SPAN, are_alike, extent, finished_with
from seisweep.record.metric_names import CONSTANT
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.words import words_of
from seisweep.statistics.objective import Objective
from trainables import metrics
from trainables.export.drawing import BLACK, BLUE, GREY, VERMILION

LEAST_SPREAD = 0.05
"""Bytes and latencies that differ by less than such a share of the largest are alike: what an axis of them would show
is chance."""
COST = (metrics.INT8_BYTES, metrics.INT8_LATENCY_MS)
NAMED_ON_A_FRONT = 8


def _no_front(sweep: SweepResults) -> str:
    wanted = _wanted(sweep)
    if len(wanted) == 1:
        return f"{sweep.name} has one objective, and its trials have no {' and no '.join(COST)}"
    names = [objective.metric for objective in wanted]
    if (reason := reason_of(lambda: sweep.best(names[0]))) or len(finished_with(sweep, *names)) >= 2:
        return reason
    return f"{sweep.name} does not have two finished trials with {' and '.join(names)}"


def _one_cost(sweep: SweepResults) -> str:
    """Said where no cost differs: what is best is told by the accuracy alone."""
    accuracy, *costs = _wanted(sweep)
    trials, (differing, alike) = _compared(sweep, accuracy, costs)
    if differing:
        return ""
    same = f"the {len(trials)} finished trials cost the same ({_in_words(trials, alike)})"
    return f"accuracy against cost (pareto_front) is left out: {same}"


@chart(lacking=_no_front, alike=_one_cost)
def pareto_front(sweep: SweepResults) -> Figure:
    """Accuracy against cost, a panel for each other objective (default bytes and latency of the INT8 file): the trials
    that nothing dominates are filled, and a line bounds what is reached in each panel. What hardly differs has no
    panel, but a line above them."""
    accuracy, *costs = _wanted(sweep)
    compared, (costs, alike) = _compared(sweep, accuracy, costs)
    trials = finished_with(sweep, accuracy.metric, *(cost.metric for cost in costs))
    front = set(sweep.front([accuracy, *costs]))
    figure = Figure(figsize=(max(7.0, 1.2 + 4.3 * len(costs)), 4.4), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    on_front = trials.index.isin(front)
    for axes, cost in zip(panels, costs, strict=True):
        x, y = trials[cost.metric].astype(float), trials[accuracy.metric].astype(float)
        axes.plot(x[~on_front], y[~on_front], "o", mfc="none", color=GREY, markersize=4.5, alpha=0.7, zorder=2)
        axes.plot(*_staircase(x, y, cost, accuracy), "-", color=VERMILION, linewidth=1.2, zorder=1)
        axes.plot(x[on_front], y[on_front], "D", color=BLUE, mec=BLACK, mew=0.6, markersize=6, zorder=3)
        for number in _spread(x[on_front], NAMED_ON_A_FRONT):
            axes.annotate(
                str(number), (x[number], y[number]), (5, -9), textcoords="offset points", fontsize=7.5, zorder=4
            )
        if x.min() > 0 and x.max() / x.min() > LOG_SPAN / 10:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.set_xlabel(words_of(cost.metric))
        axes.margins(x=0.09)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel(words_of(accuracy.metric))
    if alike:
        figure.suptitle(f"alike in all trials: {_in_words(compared, alike)}", fontsize=9)
    figure.legend(handles=_legend(len(front), len(trials)), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _wanted(sweep: SweepResults) -> list[Objective]:
    """The sweep's own where it has several; else its first with what an edge device pays, as far as trials have it."""
    own = sweep.named_objectives()
    if len(own) > 1:
        return own
    paid = [name for name in COST if name in sweep.metrics and name not in sweep.objectives]
    return own + [Objective.named(name, sweep.objectives) for name in paid]


def _compared(
    sweep: SweepResults, accuracy: Objective, costs: list[Objective]
) -> tuple[pd.DataFrame, tuple[list[Objective], list[Objective]]]:
    """The trials that have all of it; which costs differ between them, and which do not, or as little as bytes and
    latency of one architecture do."""
    trials = finished_with(sweep, accuracy.metric, *(cost.metric for cost in costs))
    spread = {cost.metric: LEAST_SPREAD if cost.metric in CONSTANT else 0.0 for cost in costs}
    alike = [cost for cost in costs if are_alike(trials[cost.metric], spread[cost.metric])]
    return trials, ([cost for cost in costs if cost not in alike], alike)


def _in_words(trials: pd.DataFrame, costs: list[Objective]) -> str:
    return "; ".join(f"{words_of(cost.metric)} {extent(trials[cost.metric])}" for cost in costs)


def _staircase(x: pd.Series, y: pd.Series, cost: Objective, accuracy: Objective) -> tuple[list[float], list[float]]:
    """What the best y is that so much x buys, as steps from the cheapest trial to the dearest."""
    steps: list[tuple[float, float]] = []
    for place in sorted(range(len(x)), key=lambda place: (cost.loss(x.iloc[place]), accuracy.loss(y.iloc[place]))):
        at, reached = float(x.iloc[place]), float(y.iloc[place])
        if not steps or at != steps[-1][0]:
            steps.append((at, min(reached, steps[-1][1], key=accuracy.loss) if steps else reached))
    xs, ys = np.array(steps).T
    return list(np.repeat(xs, 2)[1:]), list(np.repeat(ys, 2)[:-1])


def _spread(x: pd.Series, count: int) -> list[int]:
    """Up to so many of the points, from end to end."""
    order = list(x.sort_values(kind="stable").index)
    if len(order) <= count:
        return order
    return [order[place] for place in np.linspace(0, len(order) - 1, count).round().astype(int)]


def _legend(num_front: int, num_trials: int) -> list[Any]:
    return [
        Line2D([], [], marker="D", linestyle="none", color=BLUE, mec=BLACK, mew=0.6,
               label=f"dominated by none ({num_front})"),
        Line2D([], [], marker="o", linestyle="none", mfc="none", color=GREY,
               label=f"others ({num_trials - num_front})"),
        Line2D([], [], color=VERMILION, linewidth=1.2, label="best for this cost"),
    ]  # fmt: skip
