"""The figure of a training: losses and dev scores, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trainables import metrics
from trainables.export.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, save

Curve = tuple[str, str, str, str]
"""Label, colour, line style, marker."""

_PLAIN_NUMBERS = FuncFormatter(lambda value, _: f"{value:g}")
_TWO_AND_FIVE = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
"""Of several decades all numbers would stand in each other's way."""

_LOSSES: dict[str, Curve] = {
    metrics.TRAIN_LOSS: ("train, total", BLUE, "-", "o"),
    metrics.TASK_LOSS: ("train, labels", GREEN, "--", "s"),
    metrics.DISTILL_LOSS: ("train, teacher", ORANGE, ":", "^"),
    metrics.DEV_LOSS: ("dev, labels", VERMILION, "-.", "D"),
}
PICKER_SCORES: dict[str, Curve] = {
    metrics.DEV_F1: ("mean of P and S", GREY, "-", "o"),
    metrics.picking("dev", "P", "f1"): ("P", BLUE, "--", "s"),
    metrics.picking("dev", "S", "f1"): ("S", VERMILION, ":", "^"),
}
CLASSIFIER_SCORES: dict[str, Curve] = {
    metrics.DEV_MACRO_F1: ("macro F1", BLUE, "-", "o"),
    metrics.DEV_ACCURACY: ("accuracy", VERMILION, "--", "s"),
}
PRETRAINING_SCORES: dict[str, Curve] = {
    metrics.DEV_ACCURACY: ("accuracy of the positive", BLUE, "-", "o"),
}


def training_history(
    history: Sequence[Mapping[str, float]],
    path: Path,
    best_epoch: int | None = None,
    scores: Mapping[str, Curve] = PICKER_SCORES,
) -> None:
    """Losses and dev scores of each epoch; `best_epoch` (default: the best of the first score) is marked."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    losses, lower = figure.subplots(2, 1, sharex=True)
    _curves(losses, _without_repeated_total(history), _LOSSES)
    losses.set_yscale("log")  # most of the loss is gone after the first epochs; only a logarithm shows the rest
    losses.yaxis.set_major_formatter(_PLAIN_NUMBERS)
    low, high = losses.get_ylim()
    losses.yaxis.set_minor_formatter(_PLAIN_NUMBERS if high < 10 * low else _TWO_AND_FIVE)
    losses.set(ylabel="loss", title="Training history", xlim=(0.5, max(len(history), 2) + 0.5))
    _curves(lower, history, scores)
    lower.set(ylabel="dev score" if scores is not PICKER_SCORES else "dev F1", xlabel="epoch", ylim=(0, 1.02))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first = next(iter(scores))
    _mark_best(losses, lower, [epoch.get(first, -math.inf) for epoch in history], best_epoch)
    for axes in (losses, lower):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        axes.grid(alpha=0.25)
    save(figure, path)


def _curves(axes: Axes, history: Sequence[Mapping[str, float]], names: Mapping[str, Curve]) -> None:
    for name, (label, colour, style, marker) in names.items():
        points = [(epoch, record[name]) for epoch, record in enumerate(history, start=1) if name in record]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=colour, marker=marker, markersize=3.5, label=label)


def _without_repeated_total(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Without a teacher the total loss is that of the labels: one curve, not two on top of each other."""
    same = all(epoch.get(metrics.TRAIN_LOSS) == epoch.get(metrics.TASK_LOSS) for epoch in history)
    return [{name: v for name, v in epoch.items() if not (same and name == metrics.TRAIN_LOSS)} for epoch in history]


def _mark_best(losses: Axes, lower: Axes, scores: Sequence[float], best_epoch: int | None) -> None:
    best_epoch = best_epoch or (int(np.argmax(scores)) + 1 if scores else None)
    if best_epoch is None:
        return
    for axes in (losses, lower):
        axes.axvline(best_epoch, color=GREY, linewidth=1, alpha=0.6, zorder=0)
    is_late = best_epoch > len(scores) / 2
    lower.annotate(
        f"best: epoch {best_epoch}, {scores[best_epoch - 1]:.3f}",
        (best_epoch, 0.04),
        xytext=(-5 if is_late else 5, 0),
        textcoords="offset points",
        ha="right" if is_late else "left",
        color=GREY,
    )
