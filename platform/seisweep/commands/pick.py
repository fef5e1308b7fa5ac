"""`seisweep pick`: P and S onsets in continuous waveforms, by the code that an edge device runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seisweep.commands.models_and_waveforms import models_and_waveforms
from seisweep.commands.options import ProfileName
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_profile import profile_of
from trainables.edge import FDSN

if TYPE_CHECKING:
    from trainables.data.fdsn import Fetching
    from trainables.edge.chosen import Chosen
    from trainables.edge.network import Network


class PickFormat(StrEnum):
    """File format of the picks."""

    CSV = "csv"
    QUAKEML = "quakeml"
    SEISBENCH = "seisbench"
    PYOCTO = "pyocto"
    GAMMA = "gamma"


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
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... WAVEFORMS...",
            help="An ONNX file, a picker folder, a SeisBench pair or weight name, a trial of a sweep "
            "(distillation-1/3; without a number the best), an MLflow run (runs:/ID), a registered model "
            "(models:/NAME@ALIAS) or a repository of a hub (hf:ORG/REPO). With several models, the mean of their "
            "probabilities is picked. Then files that ObsPy reads, folders of them, the root of an SDS archive, or a "
            "data centre (fdsn:URL?network=CX&station=PB01).",
        ),
    ],
    output: Annotated[Path | None, typer.Option(help="File to write the picks to; default standard output.")] = None,
    format: Annotated[PickFormat, typer.Option("--format", help="File format of the picks.")] = PickFormat.CSV,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Pick from this time on, in UTC, as 2019-07-07T08:00:00.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Pick before this time.")] = None,
    stations: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Stations to pick, as STA or NET.STA, with * and ?, separated by commas."),
    ] = None,
    p_threshold: Annotated[
        float | None, typer.Option(help="Smallest probability of a P pick; default the model's threshold.")
    ] = None,
    s_threshold: Annotated[
        float | None, typer.Option(help="Smallest probability of an S pick; default the model's threshold.")
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(help="Overlap of windows in samples, or as a share if below 1; default half a window."),
    ] = None,
    stacking: Annotated[
        Stacking | None, typer.Option(help="How overlapping windows are combined; default avg.")
    ] = None,
    blinding: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Samples to ignore at the start and the end of each window; default 0 0."),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Which file to use if a model has several; default int8, else fp32, else torch."),
    ] = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(help="Pick only these channels: codes such as HHZ or 'HN?', separated by commas."),
    ] = None,
    components: Annotated[
        str | None,
        typer.Option(help="Which component the last letter of a channel code stands for, such as 0=Z,1=N,2=E."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Number of CPU threads.")] = 1,
    profile: ProfileName = "local",
) -> int:
    """Pick P and S onsets in continuous waveforms: network, station, location, phase, time, probability."""
    from trainables.edge.channels import wanted
    from trainables.edge.chosen import chosen
    from trainables.edge.job import run
    from trainables.edge.network import with_options
    from trainables.edge.waveforms import check_there

    part, choice = chosen(start, end, stations), wanted(channels, components)
    home = Home.find()
    where = profile_of(profile)
    models, waveforms = models_and_waveforms(words, home, where)
    files = [word for word in waveforms if not word.startswith(FDSN)]
    check_there(files)
    fetching = [_fetching(word, part) for word in waveforms if word not in files]
    network = with_options(
        _network(models, home, where, precision, threads),
        p_threshold=p_threshold,
        s_threshold=s_threshold,
        overlap=overlap,
        stacking=stacking,
        blinding=blinding,
    )
    thresholds = ", ".join(f"{phase} {network.threshold(phase):g}" for phase in network.phases)
    print(f"{network.name}, thresholds {thresholds}", file=sys.stderr)
    batches = (batch for one in fetching for batch in one.batches())
    code = run(network, files, output, format, part, choice, batches)
    return max(code, *(int(one.failed > 0 or bool(one.missing)) for one in fetching), 0)


def _network(models: Sequence[str], home: Home, profile: Profile, precision: str | None, threads: int) -> Network:
    from seisweep.artifacts.pickers import find_networks
    from trainables.edge.mean import mean_of

    found = find_networks(models, home, profile, precision, threads)
    return found[0] if len(found) == 1 else mean_of(found)


def _fetching(word: str, wanted: Chosen) -> Fetching:
    """Raises ValueError where no time is said, or the data centre does not answer."""
    from trainables.data.fdsn import Fetching, read_address
    from trainables.edge.chosen import chosen
    from trainables.edge.job import say

    address = read_address(word)
    between = chosen(address.start, address.end, None)
    start, end = wanted.start or between.start, wanted.end or between.end
    if start is None or end is None:
        raise ValueError(f"{word}: from when to when? give --start and --end, or starttime= and endtime=")
    if start >= end:
        raise ValueError(f"{word}: {start} is not before {end}")
    return Fetching(address.archive(), start, end, wanted, say)
