"""Figures of a finished picker: its residuals, and an example of its picks."""

# C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ
from trainables.export.drawing import BLUE, GREY, VERMILION, save

NUM_BINS = 50
"""Of a residual histogram."""
PHASE_COLOUR = {"P": BLUE, "S": VERMILION}
_PICK_MARKER = {"P": "v", "S": "D"}
_ARRIVAL_STYLE = {"P": ":", "S": (0, (4, 2))}
_THRESHOLD_STYLE = {"P": ":", "S": "-."}


@dataclass(frozen=True)
class Example:
    """One window as a figure shows it."""

    waveforms: np.ndarray
    """Normalised components E, N, Z."""
    probabilities: Mapping[str, np.ndarray]
    """Probabilities (C, T) by name of the file: FP32, INT8."""
    arrivals: Mapping[str, np.ndarray]
    """True arrivals by phase, in samples."""
    picks: Mapping[str, np.ndarray]
    """Picks by phase, in samples, of the last entry of `probabilities`."""
    thresholds: Mapping[str, float]


def residual_table(residuals_s: Mapping[str, Mapping[str, np.ndarray]], tolerance_s: float) -> pd.DataFrame:
    """The same histograms as numbers: picker, phase, residual_s (the middle of a bin), picks."""
    edges_s = np.linspace(-tolerance_s, tolerance_s, NUM_BINS + 1)
    parts = [
        pd.DataFrame(
            {
                "picker": name,
                "phase": phase,
                "residual_s": ((edges_s[:-1] + edges_s[1:]) / 2).round(6),
                "picks": np.histogram(values, edges_s)[0],
            }
        )
        for name, by_phase in residuals_s.items()
        for phase, values in by_phase.items()
    ]
    return pd.concat(parts, ignore_index=True)


def residual_histograms(residuals_s: Mapping[str, Mapping[str, np.ndarray]], path: Path, tolerance_s: float) -> None:
    """Residuals of true picks, `{"FP32": {"P": seconds, "S": seconds}, "INT8": ...}`, P and S side by side.

    The first file is filled, others are outlined; mean, mean absolute error and number of each stand below.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    bins = np.linspace(-tolerance_s, tolerance_s, NUM_BINS + 1)
    for axes, phase in zip(figure.subplots(1, len(PHASES)), PHASES, strict=True):
        for order, (name, by_phase) in enumerate(residuals_s.items()):
            values = by_phase[phase]
            label = f"{name}: no true pick"
            if len(values):
                label = f"{name}: mean {_signed_s(values.mean())}, MAE {np.abs(values).mean():.3f} s, n {len(values)}"
            if order == 0:
                axes.hist(values, bins, color=PHASE_COLOUR[phase], alpha=0.45, label=label)
            else:
                axes.hist(values, bins, histtype="step", color="black", linewidth=1.2, label=label)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=":")
        axes.set(title=f"{phase} picks", xlabel="pick minus arrival (s)", ylabel="picks", xlim=bins[[0, -1]])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
    save(figure, path)


def example_picks(example: Example, path: Path) -> None:
    """Three components and the probabilities, around the arrivals and picks of the window."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    *component_axes, bottom = figure.subplots(len(COMPONENT_ORDER) + 1, 1, sharex=True, height_ratios=[1, 1, 1, 1.5])
    time_s = np.arange(example.waveforms.shape[-1]) / SAMPLING_RATE_HZ
    for axes, component, trace_T in zip(component_axes, COMPONENT_ORDER, example.waveforms, strict=True):
        axes.plot(time_s, trace_T, color=GREY, linewidth=0.6)
        axes.set(yticks=[], ylim=(-1.1, 1.1))
        axes.set_ylabel(component, rotation=0, labelpad=12, va="center")
        _mark_times(axes, example, named=component == COMPONENT_ORDER[0])
    component_axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=4, frameon=False)

    for (name, probabilities_CT), style in zip(example.probabilities.items(), ("-", "--"), strict=False):
        for phase, probability_T in zip(PHASES, probabilities_CT, strict=False):
            colour = PHASE_COLOUR[phase] if style == "-" else "black"
            label = f"{phase} probability, {name}" if style == "-" else None
            bottom.plot(time_s, probability_T, style, color=colour, linewidth=1.6 if style == "-" else 1, label=label)
        if style == "--":
            bottom.plot([], [], style, color="black", linewidth=1, label=f"the same, {name}")
    for phase in PHASES:
        threshold = example.thresholds[phase]
        bottom.axhline(
            threshold,
            color=PHASE_COLOUR[phase],
            linestyle=_THRESHOLD_STYLE[phase],
            linewidth=1,
            label=f"{phase} threshold {threshold:g}",
        )
    _mark_times(bottom, example)
    bottom.set(ylabel="probability", xlabel="time in window (s)", ylim=(0, 1.02), xlim=_shown_s(example))
    bottom.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=5, frameon=False)
    save(figure, path)


def _mark_times(axes: Axes, example: Example, named: bool = False) -> None:
    """Arrivals black and dotted, picks coloured; `named`: with symbols above the frame and names for a legend."""
    for phase in PHASES:
        for number, sample in enumerate(example.picks[phase]):
            time_s = sample / SAMPLING_RATE_HZ
            axes.axvline(time_s, color=PHASE_COLOUR[phase], linewidth=1.4)
            if named:
                axes.plot(
                    [time_s],
                    [1.07],
                    _PICK_MARKER[phase],
                    color=PHASE_COLOUR[phase],
                    transform=axes.get_xaxis_transform(),
                    clip_on=False,
                    label=f"{phase} pick" if number == 0 else None,
                )
        for number, sample in enumerate(example.arrivals[phase]):
            label = f"{phase} arrival" if named and number == 0 else None
            style = _ARRIVAL_STYLE[phase]
            axes.axvline(sample / SAMPLING_RATE_HZ, color="black", linewidth=1.2, linestyle=style, label=label)


def _shown_s(example: Example) -> tuple[float, float]:
    """From a little before the first arrival or pick to some coda after the last."""
    times_s = np.concatenate([*example.arrivals.values(), *example.picks.values()]) / SAMPLING_RATE_HZ
    end_s = (example.waveforms.shape[-1] - 1) / SAMPLING_RATE_HZ
    return max(0.0, times_s.min(initial=end_s) - 3), min(end_s, times_s.max(initial=0.0) + 6)


def _signed_s(value: float) -> str:
    return f"{value:+.3f} s"
