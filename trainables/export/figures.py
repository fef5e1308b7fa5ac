"""Residuals of a finished picker, as a table and as histograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainables.data.config import PHASES
from trainables.export.drawing import GREY, save
from trainables.export.examples import PHASE_COLOUR

NUM_BINS = 50
"""Of a residual histogram."""


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


def _signed_s(value: float) -> str:
    return f"{value:+.3f} s"
