"""Charts out of the tables that trials leave: confusion matrices of classifiers, residuals of pickers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from seisweep.charts.chart import Lacking, chart, reason_of
from seisweep.charts.style import style_of
from seisweep.results.files import missing
from seisweep.results.sweep_results import SweepResults
from seisweep.statistics.conditions import best_conditions
from trainables.export.drawing import GREY, draw_confusions
from trainables.export.files import CONFUSIONS_FILE, RELIABILITY_FILE, RESIDUALS_FILE
from trainables.export.reliability import draw_reliability

MOST_PANELS = 6
MOST_LINES = 3

Part = tuple[str, list[int]]
"""What to call it, and the trials whose tables are added up."""


def _lacks(file: str, whose: str, most: Callable[[SweepResults], int]) -> Lacking:
    """No finished trial among those that would be shown has left this table."""

    def lacking(sweep: SweepResults) -> str:
        return reason_of(lambda: look(sweep))

    def look(sweep: SweepResults) -> None:
        sweep.best()
        numbers = [number for _, part in _parts(sweep, most(sweep)) for number in part]
        if not _there(sweep, numbers, file):
            gone = missing({f"trial {number} of {sweep.name}": sweep.runs[number] for number in numbers})
            raise ValueError(gone or f"no finished trial of {sweep.name} has left a {file}, which is left by {whose}")

    return lacking


def _num_panels(sweep: SweepResults) -> int:
    return MOST_PANELS if sweep.has_seeds else 1


@chart(lacking=_lacks(CONFUSIONS_FILE, "classifiers", _num_panels))
def confusion_matrices(sweep: SweepResults) -> Figure:
    """Of classifiers: the best trial's; with several seeds each condition's, its seeds added up, the best first."""
    parts = _parts(sweep, _num_panels(sweep))
    tables = [(label, _added(sweep, numbers, CONFUSIONS_FILE)) for label, numbers in parts]
    found = [(label, table) for label, table in tables if table is not None]
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    size = 2.2 + 0.5 * len(found[0][1])
    figure = Figure(figsize=((size + 0.6) * columns, (size + 0.3) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (label, table) in zip(panels, found, strict=False):
        words = draw_confusions(axes, table.to_numpy(), list(map(str, table.columns)))
        axes.set_title(f"{label}\ndev: {words}", fontsize=9)
    for axes in panels[len(found) :]:
        axes.remove()
    return figure


@chart(lacking=_lacks(RESIDUALS_FILE, "pickers", lambda sweep: MOST_LINES))
def residuals(sweep: SweepResults) -> Figure:
    """Of pickers: how far true picks lie from their arrivals, P and S, of the best trials or conditions: shares of the
    picks, so that trials with more of them look the same."""
    parts = _parts(sweep, MOST_LINES)
    tables = [(label, _read(sweep, numbers, RESIDUALS_FILE)) for label, numbers in parts]
    found = [(label, table) for label, table in tables if table]
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    for axes, phase in zip(figure.subplots(1, 2, sharey=True), ("P", "S"), strict=True):
        for place, (label, parts_of_label) in enumerate(found):
            colour, style, _ = style_of(place)
            counts = _histogram(parts_of_label, phase)
            centres_s, picks = counts.index.to_numpy(dtype=float), counts.to_numpy(dtype=float)
            total = picks.sum()
            words = f"{label}: no true pick"
            if total:
                mean_s, mae_s = (picks @ centres_s) / total, (picks @ np.abs(centres_s)) / total
                words = f"{label}: mean {mean_s:+.3f} s, MAE {mae_s:.3f} s, {total:.0f} picks"
            axes.step(centres_s, 100 * picks / max(total, 1), style, where="mid", color=colour, lw=1.5, label=words)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=":", zorder=0)
        axes.set(
            title=f"{phase} picks", xlabel="pick minus arrival (s)", xlim=(centres_s[0], centres_s[-1]), ylim=(0, None)
        )
        axes.grid(alpha=0.25)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=8, handlelength=3.5)
    figure.axes[0].set_ylabel("share of true picks (%)")
    return figure


@chart(lacking=_lacks(RELIABILITY_FILE, "pickers", lambda sweep: MOST_LINES))
def reliability(sweep: SweepResults) -> Figure:
    """Of pickers: how often there is an arrival where they say so with probability p, of the best trials or conditions
    (their FP32 files)."""
    tables = [(label, _read(sweep, numbers, RELIABILITY_FILE)) for label, numbers in _parts(sweep, MOST_LINES)]
    by_name = {label: pd.concat(parts).loc[["FP32"]] for label, parts in tables if parts}
    figure = Figure(figsize=(10, 6), layout="constrained")
    draw_reliability(figure, by_name, {label: style_of(place) for place, label in enumerate(by_name)})
    return figure


def _parts(sweep: SweepResults, most: int) -> list[Part]:
    """With several seeds the best conditions, else the best trials; those that are done."""
    finished = sweep.finished()
    if not sweep.has_seeds:
        return [(f"trial {number}", [number]) for number in finished[:most]]
    numbers = list(sweep.runs)
    found = best_conditions(sweep.grouped(), sweep.objective)
    return [
        (one.label() or "all trials", [numbers[place] for place in one.trials if numbers[place] in finished])
        for one in found[:most]
    ]


def _read(sweep: SweepResults, numbers: list[int], name: str) -> list[pd.DataFrame]:
    return [pd.read_csv(file, index_col=0) for file in _there(sweep, numbers, name)]


def _there(sweep: SweepResults, numbers: list[int], name: str) -> list[Path]:
    """This file of each of these trials that has left it, and whose files are to be had."""
    folders = [sweep.artifacts(number) for number in numbers if not missing({"": sweep.runs[number]})]
    return [folder / name for folder in folders if (folder / name).exists()]


def _added(sweep: SweepResults, numbers: list[int], name: str) -> pd.DataFrame | None:
    tables = _read(sweep, numbers, name)
    if not tables:
        return None
    total = tables[0]
    for table in tables[1:]:
        total = total.add(table, fill_value=0)
    return total.reindex(index=tables[0].index, columns=tables[0].columns)


def _histogram(tables: list[pd.DataFrame], phase: str) -> pd.Series:
    """Picks by residual in seconds, of the FP32 picker."""
    rows = pd.concat(tables)
    return rows[(rows.index == "FP32") & (rows["phase"] == phase)].groupby("residual_s")["picks"].sum()
