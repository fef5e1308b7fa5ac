"""Colours and files of all figures.

Drawn without pyplot, so that no state is shared with a notebook. Colours are Okabe and Ito's, which colour-blind
readers tell apart; line styles and markers differ as well.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
DPI = 130


def save(figure: Figure, path: Path) -> None:
    arriving = path.with_name(f".{path.name}.arriving")
    FigureCanvasAgg(figure).print_figure(arriving, format="png", dpi=DPI)
    arriving.replace(path)
