"""Charts of a search: where in the space the good trials lie, and which settings matter."""

from __future__ import annotations

import math
import textwrap
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
from matplotlib.ticker import FuncFormatter

from seisweep.charts.chart import chart, reason_of
from seisweep.charts.style import LOG_SPAN, faint, finished_with
from seisweep.results.as_study import proposals
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.words import words_apart, words_of
from seisweep.statistics.objective import DONE
from seisweep.text import show_value
from trainables.export.drawing import BLACK, BLUE, GREY, VERMILION

MOST_AXES = 10
WRAPPED = 18
"""Characters in a line below an axis."""
NEXT_BEST = 4
"""Trials behind the best that are named too."""
MOST_DIGITS = 6
"""Of a tick; three do where these tell it from the others."""
COLOURS = "cividis_r"
"""Dark is good: a bright line is lost on paper."""
MOST_WORDS = 8
"""Whole numbers that stand side by side like words; of more, an axis."""


@dataclass(frozen=True)
class _Scale:
    """One vertical axis: where each value lies between 0 and 1, and what its ticks say."""

    title: str
    places: np.ndarray
    ticks: dict[float, str]


def _nothing_varies(sweep: SweepResults) -> str:
    metric = sweep.objective.metric
    if reason := reason_of(sweep.best):
        return reason
    trials = finished_with(sweep, metric)
    varies = any(trials[key].nunique(dropna=False) > 1 for key in sweep.params)
    return "" if varies else f"{sweep.name} does not have two finished trials with different settings"


@chart(lacking=_nothing_varies)
def parallel_coordinates(sweep: SweepResults) -> Figure:
    """A line for each finished trial through all its settings to the objective, whose colour it has; the best one
    stands out, in a colour and with markers that no other has."""
    objective = sweep.objective
    trials = finished_with(sweep, objective.metric)
    keys = [key for key in sweep.params if trials[key].nunique(dropna=False) > 1]
    if len(keys) > MOST_AXES:
        with suppress(ValueError):  # too few trials, or too many equal ones
            keys = [key for key in sweep.importances().index if key in keys]
        keys = keys[:MOST_AXES]
    ordered = trials.loc[sweep.finished()[::-1]]  # the best are drawn last
    words, logs = words_apart(keys), _logarithmic(sweep, trials, keys)
    scales = [_scale(words[key], list(ordered[key]), key in logs) for key in keys]
    scales.append(_numbers(words_of(objective.metric), list(ordered[objective.metric]), log=False))

    figure = Figure(figsize=(max(8.0, 1.5 * len(scales) + 1), 4.6), layout="constrained")
    axes = figure.subplots()
    _draw_lines(axes, scales, [-objective.loss(value) for value in ordered[objective.metric]])
    for x, scale in enumerate(scales):
        _draw_scale(axes, x, scale)
    best_first = list(zip(scales[-1].places[::-1], ordered.index[::-1], strict=True))[: 1 + NEXT_BEST]
    _name_the_best(axes, len(scales) - 1, best_first)
    axes.set_xticks(range(len(scales)), [textwrap.fill(scale.title, WRAPPED) for scale in scales])
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set(xlim=(-0.35, len(scales) - 0.45), ylim=(-0.04, 1.04), yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(
        f"{len(ordered)} finished trials of {sweep.name}, dark where the objective is good; "
        f"thick with dots: the best, trial {ordered.index[-1]}",
        fontsize=9,
    )
    return figure


def _logarithmic(sweep: SweepResults, trials: pd.DataFrame, keys: Sequence[str]) -> set[str]:
    """The settings that were drawn by their logarithm; where the record does not say it those that span decades."""
    proposed = proposals(sweep, trials.index)
    if proposed.is_known:
        return {key for one in proposed.drawn for key, drawn in one.items() if getattr(drawn, "log", False)}
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
    words = _told_apart([back(low + share * span) for share in shares])
    ticks = {float(bottom + share * (1 - bottom)): said for share, said in zip(shares, words, strict=True)}
    places = np.nan_to_num(bottom + (scaled - low) / span * (1 - bottom))
    return _Scale(title, places, ({0.0: "none"} if bottom else {}) | ticks)


def _told_apart(values: Sequence[float]) -> list[str]:
    """Numbers with as many digits as tell them apart."""
    for digits in range(3, MOST_DIGITS):
        words = [f"{value:.{digits}g}" for value in values]
        if len(set(words)) == len(values):
            return words
    return [f"{value:.{MOST_DIGITS}g}" for value in values]


def _draw_lines(axes: Axes, scales: Sequence[_Scale], goodness: Sequence[float]) -> None:
    """A line for each row, dark where it is good; the last row is the best."""
    colouring, shades = Normalize(min(goodness), max(goodness)), matplotlib.colormaps[COLOURS]
    *others, best = ([scale.places[row] for scale in scales] for row in range(len(goodness)))
    for row, heights in enumerate(others):
        is_named = len(others) - row <= NEXT_BEST
        axes.plot(
            range(len(scales)),
            heights,
            color=shades(colouring(goodness[row])),
            linewidth=1.6 if is_named else 0.8,
            alpha=0.9 if is_named else faint(len(goodness)),
            zorder=3 if is_named else 1,
        )
    axes.plot(range(len(scales)), best, "o-", color=VERMILION, linewidth=3, markersize=7, zorder=4)


def _draw_scale(axes: Axes, x: int, scale: _Scale) -> None:
    axes.plot([x, x], [0, 1], color=BLACK, linewidth=0.9, zorder=4)
    for place, words in scale.ticks.items():
        axes.plot([x - 0.02, x + 0.02], [place] * 2, color=BLACK, linewidth=0.9, zorder=4)
        text = axes.text(x - 0.04, place, words, ha="right", va="center", fontsize=8, zorder=5)
        text.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})


def _name_the_best(axes: Axes, x: int, best_first: Sequence[tuple[float, int]]) -> None:
    """Beside the last axis, apart from each other where they would overlap. Pairs of height and trial."""
    height = 2.0
    for rank, (place, number) in enumerate(best_first):
        height = min(place, height - 0.06)
        axes.annotate(
            f"best: trial {number}" if rank == 0 else f"trial {number}",
            (x, place), (x + 0.12, height), va="center", fontsize=8, annotation_clip=False,
            color=VERMILION if rank == 0 else BLACK, weight="bold" if rank == 0 else "normal",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": GREY},
        )  # fmt: skip


def _no_importances(sweep: SweepResults) -> str:
    return reason_of(sweep.importances)


@chart(lacking=_no_importances)
def importances(sweep: SweepResults) -> Figure:
    """How much each setting matters for being among the best trials, as bars."""
    found = sweep.importances()[::-1]
    figure = Figure(figsize=(7, 1.3 + 0.36 * len(found)), layout="constrained")
    axes = figure.subplots()
    words = words_apart(found.index)
    bars = axes.barh([words[key] for key in found.index], found, color=BLUE, height=0.65)
    axes.bar_label(bars, [f"{share:.0%}" for share in found], padding=3, fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.set(
        xlim=(0, 1.12 * found.max()),
        xlabel=f"share in being among the best (PED-ANOVA)\nby {words_of(sweep.objective.metric)}",
    )
    done = int((sweep.trials["state"] == DONE).sum())
    axes.set_title(f"what matters, by {done} finished trials", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
