"""Colours and files of all figures.

Drawn without pyplot, so that no state is shared with a notebook. Colours are Okabe and Ito's, which colour-blind
readers tell apart; line styles and markers differ as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainables.atomic import whole_file

BLUE, VERMILION, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
DPI = 130
_TRUETYPE = 42
"""Kind of fonts in a PDF file that journals take, and whose words can be searched for."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, as what the name ends in: .png, .svg or .pdf."""
    with whole_file(path) as arriving, matplotlib.rc_context({"pdf.fonttype": _TRUETYPE}):
        FigureCanvasAgg(figure).print_figure(arriving, format=path.suffix[1:], dpi=DPI)


def draw_confusions(axes: Axes, counts_CK: np.ndarray, names: Sequence[str]) -> str:
    """Counts, coloured by their share of the true class; each class's F1 at the right. Returns words for a title."""
    share = counts_CK / np.maximum(counts_CK.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts_CK.shape):
        colour = "white" if share[row, column] > 0.55 else "black"
        axes.text(column, row, f"{counts_CK[row, column]:.0f}", ha="center", va="center", color=colour)
    f1_C = 2 * counts_CK.diagonal() / np.maximum(counts_CK.sum(axis=0) + counts_CK.sum(axis=1), 1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right")
    axes.set_yticks(ticks, names)
    right = axes.secondary_yaxis("right")
    right.set_yticks(ticks, [f"{f1:.2f}" for f1 in f1_C])
    right.set_ylabel("F1")
    axes.set(xlabel="predicted", ylabel="true")
    return f"{counts_CK.trace() / max(counts_CK.sum(), 1):.1%} right, macro F1 {f1_C.mean():.3f}"
