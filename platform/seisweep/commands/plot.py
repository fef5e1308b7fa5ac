"""`seisweep plot`: charts of a sweep as files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.settings.home import Home
from seisweep.settings.which_profile import profile_of


class Picture(StrEnum):
    """File format of a chart."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def plot(
    name: Annotated[str, typer.Argument(help="Name of a launched sweep (see `seisweep sweeps`).")],
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND ...]",
            help="learning_curves, conditions, few_shot, parallel_coordinates, importances, pareto_front, "
            "confusion_matrices, residuals, reliability; default: all that apply to the sweep.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files; default NAME-charts here.")
    ] = None,
    format: Annotated[Picture, typer.Option("--format", help="File format of the charts.")] = Picture.PNG,
    profile: ProfileName = "local",
) -> None:
    """Write charts of a sweep to files: learning curves, importances, accuracy against cost, conditions, residuals."""
    from seisweep import charts, results
    from seisweep.settings.paths import from_here
    from trainables.export.drawing import save

    chosen = {kind: charts.chart_named(kind) for kind in kinds or []}
    sweep = results.load_from(Home.find(), name, profile_of(profile))
    folder = output or Path(f"{name}-charts")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file: choose a folder")
    if chosen:
        figures = {kind: chart(sweep) for kind, chart in chosen.items()}
    else:
        figures = {kind: chart(sweep) for kind, chart in charts.available(sweep).items()}
        for line in charts.left_out(sweep):
            print(line, file=sys.stderr)
        if figures and (others := [kind for kind in charts.CHARTS if kind not in figures]):
            print(f"nothing to draw for {', '.join(others)}: `seisweep plot {name} KIND` says why", file=sys.stderr)
    if not figures:
        sweep.best()  # says what is missing, where no trial is done
        raise ValueError(f"{name} has nothing to draw yet")
    folder.mkdir(parents=True, exist_ok=True)
    for kind, figure in figures.items():
        file = folder / f"{kind}.{format}"
        save(figure, file)
        print(from_here(file))
    sys.stdout.flush()
