"""`seisweep pick`: P and S onsets in continuous waveforms, by the code that an edge device runs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.settings.home import Home
from seisweep.settings.which_profile import profile_of


class PickFormat(StrEnum):
    """File format of the picks."""

    CSV = "csv"
    QUAKEML = "quakeml"


class Stacking(StrEnum):
    """How overlapping windows make one curve."""

    AVG = "avg"
    MAX = "max"


class Precision(StrEnum):
    """Which file of a picker that has several."""

    INT8 = "int8"
    FP32 = "fp32"
    TORCH = "torch"


def pick(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, a picker folder, a SeisBench pair or weight name, a trial of a sweep "
            "(distillation-1/3; without a number its best), an MLflow run (runs:/ID) or a registered model "
            "(models:/NAME@ALIAS)."
        ),
    ],
    waveforms: Annotated[list[Path], typer.Argument(help="Files that ObsPy reads, or folders of them.")],
    output: Annotated[Path | None, typer.Option(help="File to write the picks to; default standard output.")] = None,
    format: Annotated[PickFormat, typer.Option("--format", help="File format of the picks.")] = PickFormat.CSV,
    p_threshold: Annotated[
        float | None, typer.Option(help="P picks have at least this probability; default the model's threshold.")
    ] = None,
    s_threshold: Annotated[
        float | None, typer.Option(help="S picks have at least this probability; default the model's threshold.")
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of windows, in samples, or below 1 as a share; default 1500.")
    ] = None,
    stacking: Annotated[
        Stacking | None, typer.Option(help="How overlapping windows are combined; default avg.")
    ] = None,
    blinding: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Samples to ignore at the start and the end of each window; default 0 0."),
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Which file, where there are several: default int8, else fp32, else torch.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    profile: ProfileName = "local",
) -> int:
    """P and S onsets in continuous waveforms: network, station, location, phase, time, probability."""
    home = Home.find()
    where = profile_of(profile)
    from seisweep.artifacts.pickers import find_network
    from trainables.edge.job import run
    from trainables.edge.network import with_options

    found = find_network(model, home, where, precision, threads)
    network = with_options(
        found,
        p_threshold=p_threshold,
        s_threshold=s_threshold,
        overlap=overlap,
        stacking=stacking,
        blinding=blinding,
    )
    thresholds = ", ".join(f"{phase} {network.threshold(phase):g}" for phase in network.phases)
    print(f"{network.name}, thresholds {thresholds}", file=sys.stderr)
    return run(network, waveforms, output, format)
