"""Colours, lines and limits of charts. What a colour tells apart, a line style or a marker tells apart too."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from seisweep.results.sweep_results import SweepResults
from seisweep.statistics.objective import DONE, Objective
from trainables.export.drawing import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

Curve = list[tuple[int, float]]
"""Epoch and value."""


_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)


_LINES = ("-", "--", ":", "-.")


_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


LOG_SPAN = 50
"""A positive setting that spans such a factor gets a logarithmic axis, where no space says which do."""


def are_alike(values: Iterable[float], least_spread: float = 0.0) -> bool:
    """Whether these values differ by no more than such a share of the largest."""
    given = list(map(float, values))
    return max(given) - min(given) <= least_spread * max(map(abs, given))


def extent(values: Iterable[float]) -> str:
    """From the least to the largest in words: `59,310 to 59,325`."""
    given = list(map(float, values))
    ends = [f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in (min(given), max(given))]
    return " to ".join(dict.fromkeys(ends))


def finished_with(sweep: SweepResults, *names: str) -> pd.DataFrame:
    """The rows of finished trials that have values of these metrics."""
    trials = sweep.trials
    if not set(names) <= set(trials):
        return trials.iloc[:0]
    return trials[(trials["state"] == DONE) & trials[list(names)].notna().all(axis=1)]


def keep_to_the_bulk(axes: Axes, values: list[float], objective: Objective) -> None:
    """A few trials that went far wrong would press all others into a line: the worst end is cut at a percentile."""
    low, high = np.percentile(values, [0, 97] if objective.small_first else [3, 100])
    margin = 0.05 * (high - low) or 0.05 * max(abs(high), 1e-3)
    axes.set_ylim(low - margin, high + margin)


def faint(count: int) -> float:
    """How opaque each of so many lines is, for all of them to be seen through each other."""
    return min(0.45, max(0.06, 25 / max(count, 1)))


def style_of(number: int) -> tuple[str, str, str]:
    return _COLOURS[number % len(_COLOURS)], _LINES[number % len(_LINES)], _MARKERS[number % len(_MARKERS)]


def finish(axes: Axes, has_legend: bool) -> None:
    axes.grid(alpha=0.25)
    if has_legend:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, handlelength=3.5)
