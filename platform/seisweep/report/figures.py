"""Figures of a page, in the page itself: charts of the whole sweep, and what the best trial has left."""

from __future__ import annotations

import base64
import io
import struct
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seisweep import charts
from seisweep.results.sweep_results import SweepResults
from seisweep.say import say_once
from trainables.export.drawing import DPI

LARGEST_BYTES = 4_000_000
MOST_FILES = 12
WIDE, WIDE_PIXELS = 2.6, 1400
"""A figure is wide that is so many times as wide as high, or has so many pixels in a row."""
PNG = b"\x89PNG"
"""What such a file begins with; width and height follow from its 17th byte on."""

OF_SWEEP = {
    "learning_curves": "The objective by epoch, a line for each trial",
    "conditions": "Each condition with every seed, its mean and 95 % interval; differences from the baseline",
    "few_shot": "The objective over the share of training events",
    "parallel_coordinates": "Each finished trial as a line through its settings, the best one thick",
    "importances": "Which settings mattered for being among the best trials",
    "pareto_front": "Accuracy against cost; filled: trials that no other trial beats in both",
    "confusion_matrices": "Which class is taken for which, on dev",
    "residuals": "Times of picks against the arrivals, on dev, of the best trials or conditions",
    "reliability": "How often there is an arrival where a picker's peak has probability p, on dev",
}
OF_TRIAL = {
    "training_history": "Loss and scores by epoch",
    "residuals": "Times of picks against the arrivals, on dev, in FP32 and INT8",
    "reliability": "How often there is an arrival where the picker's peak has probability p, on dev",
    "example_picks": "Windows of dev with arrivals and picks: a hit, a miss and a false pick where there are any",
    "confusion_matrix": "Which class is taken for which, on dev",
    "activation_maps": "Where in a waveform the evidence for its class lies",
}


class Picture(NamedTuple):
    """A figure with what it shows in words."""

    name: str
    """Of the chart or file."""
    caption: str
    alt: str
    uri: str
    is_wide: bool
    """It wants the whole width of the page to be read."""

    @property
    def png(self) -> bytes:
        return base64.b64decode(self.uri.partition(",")[2])


def figures_of_sweep(sweep: SweepResults) -> list[Picture]:
    """The charts that this sweep can have; first those that want the whole width."""
    pictures = []
    for name, chart in charts.available(sweep).items():
        try:
            figure = chart.draw(sweep)
        except ValueError as error:  # a table of it cannot be read
            say_once(f"the report is without {_words(name).lower()}: {error}")
            continue
        pictures.append(_picture(name, OF_SWEEP.get(name, _words(name)), f"sweep {sweep.name}", _png(figure)))
    return sorted(pictures, key=lambda picture: not picture.is_wide)


def figures_of_trial(sweep: SweepResults, trial: int) -> list[Picture]:
    """The figures among a trial's artifacts; none where these cannot be had here."""
    try:
        files = [file for file in sweep.artifacts(trial).glob("*.png") if file.stat().st_size <= LARGEST_BYTES]
    except (ValueError, OSError):
        return []
    order = list(OF_TRIAL)
    files.sort(key=lambda file: (order.index(file.stem) if file.stem in order else len(order), file.name))
    pictures = [
        _picture(file.stem, OF_TRIAL.get(file.stem, _words(file.stem)), f"trial {trial}", file.read_bytes())
        for file in files[:MOST_FILES]
    ]
    return sorted(pictures, key=lambda picture: not picture.is_wide)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _picture(name: str, caption: str, whose: str, png: bytes) -> Picture:
    width, height = struct.unpack(">II", png[16:24]) if png.startswith(PNG) else (1, 1)
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return Picture(name, caption, f"{caption}: {whose}", uri, width > min(WIDE * height, WIDE_PIXELS))
