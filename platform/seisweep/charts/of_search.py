"""Charts of a search: where in the space the good trials lie, and what accuracy costs in bytes and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from seisweep.charts.style import faint
from seisweep.results import tables
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics.importances import as_proposed
from seisweep.text import short_names, show_value
from trainables import metrics
from trainables.export.drawing import BLACK, BLUE, GREY, VERMILION

MOST_AXES = 10
BEST = 5
"""Trials that are drawn thick and named."""
COLOURS = "cividis_r"
"""Dark is good: a bright line is lost on paper."""
LOG_SPAN = 50
"""A positive setting that spans such a factor gets a logarithmic axis, where no space says which do."""
COST = (metrics.INT8_BYTES, metrics.INT8_LATENCY_MS)
NAMED_ON_A_FRONT = 8
MOST_WORDS = 8
"""Whole numbers that stand side by side like words; of more, an axis."""


@dataclass(frozen=True)
class _Scale:
    """One vertical axis: where each value lies between 0 and 1, and what its ticks say."""

    title: str
    places: np.ndarray
    ticks: dict[float, str]


def parallel_coordinates(sweep: SweepResults) -> Figure:
    """A line for each finished trial through all its settings to the objective, whose colour it has; the best thick."""
    metric, direction = sweep.first_objective
    trials = _finished(sweep, metric)
    keys = [key for key in sweep.params if trials[key].nunique(dropna=False) > 1]
    if not keys or len(trials) < 2:
        raise ValueError(f"{sweep.name} has no two finished trials with different settings")
    if len(keys) > MOST_AXES:
        with suppress(ValueError):  # too few trials, or too many equal ones
            keys = [key for key in sweep.importances().index if key in keys]
        keys = keys[:MOST_AXES]
    ordered = trials.sort_values(metric, ascending=direction == "max", kind="stable")  # the best are drawn last
    short, logs = short_names(keys), _logarithmic(sweep, trials, keys)
    scales = [_scale(short[key], list(ordered[key]), key in logs) for key in keys]
    scales.append(_numbers(metric, list(ordered[metric]), log=False))

    figure = Figure(figsize=(max(8.0, 1.5 * len(scales) + 1), 4.6), layout="constrained")
    axes = figure.subplots()
    values = ordered[metric].to_numpy(dtype=float)
    sign = 1 if direction == "max" else -1
    colouring = Normalize((sign * values).min(), (sign * values).max())
    shades = matplotlib.colormaps[COLOURS]
    for row, value in enumerate(values):
        is_best = row >= len(values) - BEST
        axes.plot(
            range(len(scales)),
            [scale.places[row] for scale in scales],
            color=shades(colouring(sign * value)),
            linewidth=2.4 if is_best else 0.8,
            alpha=1.0 if is_best else faint(len(values)),
            zorder=3 if is_best else 1,
        )
    for x, scale in enumerate(scales):
        _draw_scale(axes, x, scale)
    _name_the_best(axes, len(scales) - 1, list(scales[-1].places[::-1][:BEST]), list(ordered.index[::-1][:BEST]))
    axes.set_xticks(range(len(scales)), [scale.title for scale in scales])
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set(xlim=(-0.35, len(scales) - 0.45), ylim=(-0.04, 1.04), yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(f"{len(ordered)} finished trials of {sweep.name}; thick and numbered: the best", fontsize=9)
    return figure


def pareto_front(sweep: SweepResults) -> Figure:
    """Accuracy against cost, a panel for each other objective (default bytes and latency of the INT8 file): the trials
    that nothing dominates are filled, and a line bounds what is reached in each panel."""
    names = _objectives(sweep)
    directions = sweep.directions(*names)
    trials = _finished(sweep, *names)
    if len(trials) < 2:
        raise ValueError(f"{sweep.name} has no two finished trials with {' and '.join(names)}")
    front = set(sweep.pareto(*(f"{name}:{direction}" for name, direction in directions)).index)
    (metric, direction), others = directions[0], directions[1:]
    figure = Figure(figsize=(max(7.0, 1.2 + 4.3 * len(others)), 4.4), layout="constrained")
    panels = figure.subplots(1, len(others), sharey=True, squeeze=False)[0]
    on_front = trials.index.isin(front)
    for axes, (name, sense) in zip(panels, others, strict=True):
        x, y = trials[name].astype(float), trials[metric].astype(float)
        axes.plot(x[~on_front], y[~on_front], "o", mfc="none", color=GREY, markersize=4.5, alpha=0.7, zorder=2)
        axes.plot(*_staircase(x, y, sense, direction), "-", color=VERMILION, linewidth=1.2, zorder=1)
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
        axes.set_xlabel(name)
        axes.margins(x=0.09)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel(metric)
    figure.legend(handles=_legend(len(front), len(trials)), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _objectives(sweep: SweepResults) -> list[str]:
    """The sweep's own where it has several; else its first with what an edge device pays."""
    names = list(sweep.objectives)
    if len(names) == 1:
        names += [name for name in COST if name in sweep.metrics and name not in names]
    if len(names) == 1:
        raise ValueError(f"{sweep.name} has one objective, and its trials have no {' and no '.join(COST)}")
    return names


def _finished(sweep: SweepResults, *names: str) -> pd.DataFrame:
    trials = sweep.trials
    missing = [name for name in names if name not in trials]
    if missing:
        raise ValueError(f"no trial of {sweep.name} has a {missing[0]}")
    return trials[(trials["state"] == "done") & trials[list(names)].notna().all(axis=1)]


def _logarithmic(sweep: SweepResults, trials: pd.DataFrame, keys: Sequence[str]) -> set[str]:
    """The settings that the sweep's space proposes by their logarithm; without a space those that span decades."""
    params = [tables.params_of(sweep.runs[number]) for number in trials.index]
    if sweep.definition and (proposed := as_proposed(params, sweep.definition)):
        return {key for one in proposed for key, distribution in one.items() if getattr(distribution, "log", False)}
    positive = [key for key in keys if pd.api.types.is_numeric_dtype(trials[key]) and trials[key].min() > 0]
    return {key for key in positive if trials[key].max() / trials[key].min() >= LOG_SPAN}


def _scale(title: str, values: Sequence[Any], log: bool) -> _Scale:
    """Numbers where they lie, words side by side, few whole numbers as words would."""
    given = [value for value in values if not pd.isna(value)]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    kinds = sorted(set(given)) if is_number else sorted(set(given), key=str)
    if is_number and (len(kinds) > MOST_WORDS or not all(float(kind).is_integer() for kind in kinds)):
        return _numbers(title, values, log)
    names = [show_value(kind) for kind in kinds] + (["none"] if len(given) < len(values) else [])
    places = dict(zip(names, np.linspace(0, 1, len(names)) if len(names) > 1 else [0.5], strict=True))
    shown = ["none" if pd.isna(value) else show_value(value) for value in values]
    return _Scale(title, np.array([places[name] for name in shown]), {place: name for name, place in places.items()})


def _numbers(title: str, values: Sequence[Any], log: bool) -> _Scale:
    """From the smallest to the largest, a tick at both ends and two between; what is missing lies below them."""
    numbers = np.array([math.nan if pd.isna(value) else float(value) for value in values])
    scaled = np.log(numbers) if log else numbers
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    span = (high - low) or 1.0
    back = math.exp if log else float
    bottom = 0.15 if np.isnan(numbers).any() else 0.0
    shares = np.linspace(0, 1, 4) if high > low else np.zeros(1)
    ticks = {float(bottom + share * (1 - bottom)): f"{back(low + share * span):.3g}" for share in shares}
    places = np.nan_to_num(bottom + (scaled - low) / span * (1 - bottom))
    return _Scale(title, places, ({0.0: "none"} if bottom else {}) | ticks)


def _draw_scale(axes: Axes, x: int, scale: _Scale) -> None:
    axes.plot([x, x], [0, 1], color=BLACK, linewidth=0.9, zorder=4)
    for place, words in scale.ticks.items():
        axes.plot([x - 0.02, x + 0.02], [place] * 2, color=BLACK, linewidth=0.9, zorder=4)
        text = axes.text(x - 0.04, place, words, ha="right", va="center", fontsize=8, zorder=5)
        text.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})


def _name_the_best(axes: Axes, x: int, places: Sequence[float], numbers: Sequence[int]) -> None:
    """Beside the last axis, apart from each other where they would overlap."""
    height = 2.0
    for place, number in zip(places, numbers, strict=True):
        height = min(place, height - 0.055)
        axes.annotate(
            f"trial {number}", (x, place), (x + 0.1, height), va="center", fontsize=8, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": GREY},
        )  # fmt: skip


def _staircase(x: pd.Series, y: pd.Series, x_sense: str, y_sense: str) -> tuple[list[float], list[float]]:
    """What the best y is that so much x buys, as steps from the cheapest trial to the dearest."""
    at_cost = y.groupby(x).max() if y_sense == "max" else y.groupby(x).min()
    at_cost = at_cost.sort_index(ascending=x_sense == "min")
    best = at_cost.cummax() if y_sense == "max" else at_cost.cummin()
    xs, ys = best.index.to_numpy(dtype=float), best.to_numpy(dtype=float)
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
