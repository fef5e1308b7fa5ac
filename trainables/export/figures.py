"""Figures of a finished picker: its training, its residuals, and an example of its picks.

Drawn without pyplot, so that no state is shared with a notebook. Colours are Okabe and Ito's, which colour-blind
readers tell apart; line styles and markers differ as well.
"""

# C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainables import metrics
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ

BLUE, VERMILION, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
PHASE_COLOUR = {"P": BLUE, "S": VERMILION}
DPI = 130

_LOSSES = {
    metrics.TRAIN_LOSS: ("train, total", BLUE, "-", "o"),
    metrics.TASK_LOSS: ("train, labels", GREEN, "--", "s"),
    metrics.DISTILL_LOSS: ("train, teacher", ORANGE, ":", "^"),
    metrics.DEV_LOSS: ("dev, labels", VERMILION, "-.", "D"),
}
_SCORES = {
    metrics.DEV_F1: ("mean of P and S", GREY, "-", "o"),
    metrics.picking("dev", "P", "f1"): ("P", BLUE, "--", "s"),
    metrics.picking("dev", "S", "f1"): ("S", VERMILION, ":", "^"),
}


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


def training_history(history: Sequence[Mapping[str, float]], path: Path, best_epoch: int | None = None) -> None:
    """Losses and dev F1 of each epoch; `best_epoch` (default: the best dev F1) is marked."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    losses, f1 = figure.subplots(2, 1, sharex=True)
    # A class that is easily separated has most of its loss in the first epochs: only a logarithm shows the rest.
    _curves(losses, history, _LOSSES)
    losses.set_yscale("log")
    losses.set(ylabel="loss", title="Training history")
    _curves(f1, history, _SCORES)
    f1.set(ylabel="dev F1", xlabel="epoch", ylim=(0, 1.02))
    f1.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))

    scores = [epoch.get(metrics.DEV_F1, -math.inf) for epoch in history]
    if best_epoch is None and scores:
        best_epoch = int(np.argmax(scores)) + 1
    if best_epoch:
        for axes in (losses, f1):
            axes.axvline(best_epoch, color=GREY, linewidth=1, alpha=0.6, zorder=0)
        f1.annotate(
            f"best: epoch {best_epoch}, F1 {scores[best_epoch - 1]:.3f}",
            (best_epoch, 0.04),
            xytext=(5, 0),
            textcoords="offset points",
            color=GREY,
        )
    for axes in (losses, f1):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        axes.grid(alpha=0.25)
    _save(figure, path)


def residual_histograms(residuals_s: Mapping[str, Mapping[str, np.ndarray]], path: Path, tolerance_s: float) -> None:
    """Residuals of true picks, `{"FP32": {"P": seconds, "S": seconds}, "INT8": ...}`, P and S side by side.

    The first file is filled, others are outlined; mean, mean absolute error and number of each stand below.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    bins = np.linspace(-tolerance_s, tolerance_s, 51)
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
    _save(figure, path)


def example_picks(example: Example, path: Path) -> None:
    """Three components with arrivals (black) and picks (coloured), and the probabilities below."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    *component_axes, bottom = figure.subplots(len(COMPONENT_ORDER) + 1, 1, sharex=True, height_ratios=[1, 1, 1, 1.5])
    time_s = np.arange(example.waveforms.shape[-1]) / SAMPLING_RATE_HZ
    for axes, component, trace_T in zip(component_axes, COMPONENT_ORDER, example.waveforms, strict=True):
        axes.plot(time_s, trace_T, color=GREY, linewidth=0.6)
        axes.set(ylabel=component, yticks=[], ylim=(-1.1, 1.1))
        _mark_times(axes, example)
    _label_times(component_axes[0], example)

    for (name, probabilities_CT), style in zip(example.probabilities.items(), ("-", "--"), strict=False):
        for phase, probability_T in zip(PHASES, probabilities_CT, strict=False):
            bottom.plot(
                time_s, probability_T, style, color=PHASE_COLOUR[phase], linewidth=1.4, label=f"{phase}, {name}"
            )
    for phase in PHASES:
        bottom.axhline(
            example.thresholds[phase], color=PHASE_COLOUR[phase], linestyle=":", linewidth=1, label=f"{phase} threshold"
        )
    _mark_times(bottom, example)
    bottom.set(ylabel="probability", xlabel="time in window (s)", ylim=(0, 1.02), xlim=(0, time_s[-1]))
    bottom.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=6, frameon=False)
    _save(figure, path)


def _curves(axes: Axes, history: Sequence[Mapping[str, float]], names: Mapping[str, tuple[str, str, str, str]]) -> None:
    for name, (label, colour, style, marker) in names.items():
        points = [(epoch, record[name]) for epoch, record in enumerate(history, start=1) if name in record]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=colour, marker=marker, markersize=3.5, label=label)


def _mark_times(axes: Axes, example: Example) -> None:
    for phase in PHASES:
        for sample in example.arrivals[phase]:
            axes.axvline(sample / SAMPLING_RATE_HZ, color="black", linewidth=1.2, linestyle=(0, (1, 1)))
        for sample in example.picks[phase]:
            axes.axvline(sample / SAMPLING_RATE_HZ, color=PHASE_COLOUR[phase], linewidth=1.4)


def _label_times(axes: Axes, example: Example) -> None:
    """Names above the frame: arrivals on the left of their line, picks on the right."""
    for samples_of, side, suffix in ((example.arrivals, "right", ""), (example.picks, "left", " pick")):
        for phase in PHASES:
            for sample in samples_of[phase]:
                axes.annotate(
                    f"{phase}{suffix}" if suffix else f"{phase} true",
                    (sample / SAMPLING_RATE_HZ, 1.03),
                    xycoords=("data", "axes fraction"),
                    ha=side,
                    color=PHASE_COLOUR[phase] if suffix else "black",
                )


def _signed_s(value: float) -> str:
    return f"{value:+.3f} s"


def _save(figure: Figure, path: Path) -> None:
    arriving = path.with_name(f".{path.name}.arriving")
    FigureCanvasAgg(figure).print_figure(arriving, format="png", dpi=DPI)
    arriving.replace(path)
