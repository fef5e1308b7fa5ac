"""The figure of reliability: how often there is an arrival, over the probability that a picker gave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.data.config import PHASES
from trainables.evaluation.reliability import calibration_error
from trainables.export.drawing import BLUE, GREY, VERMILION, save

UNCALIBRATED = "before calibration"
"""What the picker is called that the weights were before."""

STYLES = {UNCALIBRATED: (GREY, ":", "s"), "FP32": (BLUE, "-", "o"), "INT8": (VERMILION, "--", "^")}


def reliability_figure(table: pd.DataFrame, path: Path) -> None:
    """Of the rows of `evaluation.reliability.reliability_table`: P and S side by side, a line for each picker."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    draw_reliability(figure, {str(name): rows for name, rows in table.groupby("picker", sort=False)}, STYLES)
    save(figure, path)


def draw_reliability(
    figure: Figure, by_name: Mapping[str, pd.DataFrame], styles: Mapping[str, tuple[str, str, str]]
) -> None:
    """Observed frequency over mean probability, bin by bin; below it how many peaks each bin has. `styles`: colour,
    line and marker of each name."""
    rows = figure.subplots(2, len(PHASES), sharex=True, sharey="row", height_ratios=[4, 0.35 + 0.35 * len(by_name)])
    for column, phase in enumerate(PHASES):
        above, below = rows[0][column], rows[1][column]
        above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", zorder=0)
        for place, (name, table) in enumerate(by_name.items()):
            of_phase = table[table["phase"] == phase].groupby(["from", "to"], as_index=False)[_COUNTED].sum()
            _draw(above, below, of_phase, place, name, styles[name])
        above.set(title=f"{phase} peaks", xlim=(0, 1), ylim=(-0.03, 1.03))
        above.grid(alpha=0.25)
        below.set(yticks=[], ylim=(len(by_name) - 0.4, -0.6), xlabel="probability of the peak")
        below.tick_params(length=0)
        below.legend(
            *above.get_legend_handles_labels(),
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            borderaxespad=5,
            frameon=False,
            fontsize=8,
        )
    rows[0][0].set_ylabel("share with an arrival")
    rows[1][0].set_ylabel("peaks")


_COUNTED = ["peaks", "arrivals", "probability_sum"]


def _draw(above: Axes, below: Axes, of_phase: pd.DataFrame, place: int, name: str, style: tuple[str, str, str]) -> None:
    colour, line, marker = style
    filled = of_phase[of_phase["peaks"] > 0]
    peaks = filled["peaks"].to_numpy(dtype=float)
    arrivals, summed = filled["arrivals"].to_numpy(dtype=float), filled["probability_sum"].to_numpy(dtype=float)
    label = f"{name}: no peak"
    if len(peaks):
        error = calibration_error(peaks, arrivals, summed)
        label = f"{name}: calibration error {error:.3f}, {peaks.sum():.0f} peaks"
    above.plot(
        summed / peaks,
        arrivals / peaks,
        linestyle=line,
        marker=marker,
        color=colour,
        linewidth=1.5,
        markersize=5,
        label=label,
    )
    for begin, end, number in zip(filled["from"], filled["to"], filled["peaks"], strict=True):
        middle = (begin + end) / 2
        below.text(middle, place, f"{number:.0f}", ha="center", va="center", fontsize=7, color=colour)
