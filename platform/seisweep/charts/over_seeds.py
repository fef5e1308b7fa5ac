"""Figures of a sweep with several seeds: its conditions, few-shot curves, learning curves.

Every seed is to be seen. What colour tells apart, a line style or a marker tells apart as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from seisweep.charts.style import Curve, finish, style_of
from seisweep.settings.words import words_of
from seisweep.statistics.conditions import RANGE, Baseline, Condition, Estimate, best_conditions, differences
from seisweep.statistics.objective import Objective
from seisweep.text import show_number
from trainables.export.drawing import BLUE, GREY, VERMILION

MOST_DRAWN = 24
"""Conditions in a figure; of more, the best."""


def conditions(found: Sequence[Condition], baseline: Baseline, objective: Objective) -> Figure:
    """A row for each condition: its seeds, mean and interval; beside it the differences from its baseline."""
    shown, which = _best(found, objective)
    figure = Figure(figsize=(10.5, 1.4 + 0.42 * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for row, condition in enumerate(shown):
        _row(left, row, list(condition.values.values()), BLUE, "o")
        if (other := baseline.of(condition)) is not None:
            _row(right, row, list(differences(condition, other).values()), VERMILION, "s")
        elif condition in baseline.holders:
            right.text(0, row, "baseline ", ha="right", va="center", fontsize=8, color=GREY)
    left.set_yticks(range(len(shown)), [condition.label() or "all trials" for condition in shown])
    left.set(
        ylim=(len(shown) - 0.5, -0.5),
        xlabel=words_of(objective.metric),
        title=f"each seed; mean and its {RANGE}{which}",
    )
    right.axvline(0, color=GREY, linewidth=1, zorder=0)
    right.set(xlabel=f"difference in {words_of(objective.metric)}", title="differences from the baseline, seed by seed")
    for axes, rows in ((left, [list(one.values.values()) for one in shown]), (right, _differences(shown, baseline))):
        zero = [0.0] if axes is right else []
        _keep_to_the_seeds(axes.set_xlim, [value for row in rows for value in row] + zero)
        axes.grid(axis="x", alpha=0.25)
        axes.title.set_fontsize(9)
    return figure


def few_shot(found: Sequence[Condition], key: str, metric: str) -> Figure:
    """The metric over the share of training events, a line for whatever else was varied, with intervals."""
    lines: dict[str, list[Condition]] = {}
    for condition in found:
        if isinstance(condition.params.get(key), int | float) and condition.values:
            lines.setdefault(condition.label(without=key), []).append(condition)
    figure = Figure(figsize=(8.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, (label, line) in enumerate(lines.items()):
        colour, style, marker = style_of(number)
        line.sort(key=lambda condition: condition.params[key])
        aside = 1 + 0.025 * (number - (len(lines) - 1) / 2)  # so that intervals do not hide each other
        shares = [aside * condition.params[key] for condition in line]
        estimates = [Estimate.of(condition.values.values()) for condition in line]
        axes.plot(shares, [e.mean for e in estimates], style, color=colour, marker=marker, label=label or None)
        for share, condition, estimate in zip(shares, line, estimates, strict=True):
            values = list(condition.values.values())
            axes.plot([share] * len(values), values, marker, color=colour, markersize=3.5, mfc="none", linestyle="none")
            if estimate.size > 1:
                axes.plot([share] * 2, [estimate.low, estimate.high], "_-", color=colour, linewidth=1, markersize=7)
    _keep_to_the_seeds(axes.set_ylim, [value for condition in found for value in condition.values.values()])
    ticks = sorted({condition.params[key] for line in lines.values() for condition in line})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{show_number(100 * share)} %"))
    axes.set(xlabel="share of the training events", ylabel=words_of(metric))
    axes.set_title(f"mean and its {RANGE} (bars); each seed (open)", fontsize=9)
    finish(axes, has_legend=list(lines) != [""])
    return figure


def learning_curves(found: Sequence[Condition], curves: Sequence[Sequence[Curve]], objective: Objective) -> Figure:
    """The metric over epochs, a line for each trial, coloured by condition. `curves`: of each condition its trials."""
    shown, which = _best(found, objective)
    by_condition = {id(condition): lines for condition, lines in zip(found, curves, strict=True)}
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    for number, condition in enumerate(shown):
        colour, style, marker = style_of(number)
        label: str | None = condition.label() or None
        for curve in filter(None, by_condition[id(condition)]):
            epochs, values = zip(*curve, strict=True)
            line = axes.plot(epochs, values, style, color=colour, linewidth=1.1, label=label)[0]
            line.set(marker=marker, markersize=4, markevery=[-1])
            label = None  # one entry of the legend for all seeds
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel=words_of(objective.metric))
    axes.set_title(f"every trial{which}", fontsize=9)
    finish(axes, has_legend=len(shown) > 1)
    return figure


def _best(found: Sequence[Condition], objective: Objective) -> tuple[list[Condition], str]:
    """What a figure has room for, in the order of the grid, and words for a title where that is not all."""
    if len(found) <= MOST_DRAWN:
        return list(found), ""
    best = best_conditions(found, objective)[:MOST_DRAWN]
    return [condition for condition in found if condition in best], f"; the best {MOST_DRAWN} of {len(found)}"


def _row(axes: Axes, row: int, values: list[float], colour: str, marker: str) -> None:
    """Seeds as open markers, their mean as a bar across a line that is its interval."""
    if not values:
        return
    estimate = Estimate.of(values)
    if estimate.size > 1:
        axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=1.5, zorder=1)
    axes.plot([estimate.mean], [row], "|", color=colour, markersize=16, markeredgewidth=2.5, zorder=2)
    axes.plot(values, [row] * len(values), marker, color=colour, mfc="white", markersize=5, alpha=0.9, zorder=3)


def _differences(shown: Sequence[Condition], baseline: Baseline) -> list[list[float]]:
    pairs = [(condition, baseline.of(condition)) for condition in shown]
    return [list(differences(condition, other).values()) for condition, other in pairs if other is not None]


def _keep_to_the_seeds(set_limits: Callable[[float, float], object], values: list[float]) -> None:
    """The axis fits the seeds: an interval of two of them may be many times as wide, and runs out of the picture."""
    if not values:
        return
    margin = 0.35 * (max(values) - min(values)) or 0.05 * max(abs(values[0]), 1e-3)
    set_limits(min(values) - margin, max(values) + margin)


FEW_SHOT = "few_shot_fraction"
"""Last part of the key that says which share of the training events a trial learns from."""


def few_shot_key(conditions: Sequence[Condition]) -> str | None:
    """The key of the share of training events, where it varies; else None."""
    for key in dict.fromkeys(key for condition in conditions for key in condition.params):
        if key.rpartition(".")[2] == FEW_SHOT and len({condition.params.get(key) for condition in conditions}) > 1:
            return key
    return None
