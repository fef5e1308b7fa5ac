"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from seisweep.settings.home import Home
from seisweep.settings.profile import Profile, load_profile

Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings: loss.alpha=0.3 fixes a key, loss.alpha=0.2,0.5 or loss.alpha=0.2..0.5 narrows its search.",
        show_default=False,
    ),
]


ProfileName = Annotated[str, typer.Option("--profile", help="Where it runs: local, cluster, or a TOML file.")]


Name = Annotated[str | None, typer.Option("--name", help="Name of this launch; default the sweep's with a number.")]


Extend = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="N trials more for a sweep that is there, which goes on.")
]


Note = Annotated[str, typer.Option("--note", help="A line for the record: why this sweep.")]


Cpus = Annotated[float | None, typer.Option(help="Processor cores of a worker; default the profile's.")]


Gpus = Annotated[float | None, typer.Option(help="GPUs of a worker, 0.5 for half a one; default the profile's.")]


Memory = Annotated[float | None, typer.Option(help="Most memory of a worker in GB; default the profile's.")]


RetryOom = Annotated[
    bool | None,
    typer.Option("--retry-oom", help="Out of memory: go on with half the batch and twice the accumulation."),
]


ReportTimeout = Annotated[
    str | None, typer.Option(help="A trial without a report for 30m, 2h has hung and fails; 0: never.")
]


DiskBudget = Annotated[float | None, typer.Option(help="What the checkpoints of the sweep may take, in GB.")]


Workers = Annotated[int | None, typer.Option(min=1, help="Ray Train workers of a trial; default the profile's.")]


def profile_of(name: str) -> Profile:
    """The profile that `--profile` names. Raises ValueError."""
    return load_profile(name, Home.find().profiles_dir)
