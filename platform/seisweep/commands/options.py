"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from seisweep.settings.which_profile import PROFILE_VARIABLE

Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings: loss.alpha=0.3 fixes a key, loss.alpha=0.2,0.5 or loss.alpha=0.2..0.5 narrows its search.",
        show_default=False,
    ),
]


ProfileName = Annotated[
    str, typer.Option("--profile", envvar=PROFILE_VARIABLE, help="Where trials run: local, cluster, or a TOML file.")
]


Name = Annotated[
    str | None, typer.Option("--name", help="Name to give to this sweep; default: what is run, with a number.")
]


SettingsFrom = Annotated[
    str | None,
    typer.Option(
        "--settings-from",
        metavar="NAME/TRIAL",
        help="Begin with the settings of a trial, as distillation-1/3; key=value overrides them.",
    ),
]


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Begin with a config.json of XiaoNet's document (device, training ...); key=value overrides it.",
    ),
]


Extend = Annotated[int | None, typer.Option(min=1, metavar="N", help="Add N trials to an existing sweep.")]


Note = Annotated[str, typer.Option("--note", help="One line that is kept with the sweep: why you run it.")]


Cpus = Annotated[float | None, typer.Option(help="CPU cores of a worker; default as the profile says.")]


Gpus = Annotated[float | None, typer.Option(help="GPUs of a worker, 0.5 for half a GPU; default as the profile says.")]


Memory = Annotated[float | None, typer.Option(help="Memory limit of a worker in GB; default as the profile says.")]


RetryOom = Annotated[
    bool | None,
    typer.Option(
        "--retry-oom", help="After running out of memory, go on with half the batch and twice the accumulation."
    ),
]


ReportTimeout = Annotated[
    str | None, typer.Option(help="Time without a report after which a trial fails, as 30m or 2h; 0: never.")
]


DiskBudget = Annotated[float | None, typer.Option(help="Disk space for the checkpoints of the sweep, in GB.")]


Workers = Annotated[
    int | None, typer.Option(min=1, help="Ray Train workers for each trial; default as the profile says.")
]
