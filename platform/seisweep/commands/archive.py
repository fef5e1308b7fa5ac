"""`seisweep pack` and `merge`: a sweep as one file, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.launching.start import check_name
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.settings.which_profile import profile_of
from seisweep.settings.which_store import given_store


def pack(
    name: Annotated[str, typer.Argument(help="A sweep in the home that is not running (see `seisweep sweeps`).")],
    file: Annotated[Path, typer.Argument(help="The archive to write, as distillation-1.tar.gz.")],
    profile: ProfileName = "local",
) -> None:
    """Write a sweep to one file, for a reviewer or another machine: runs, files, checkpoints, state of the search."""
    home, where = Home.find(), profile_of(profile)
    from seisweep.archive.packing import pack as packed

    place = file.expanduser().resolve()
    manifest = packed(name, place, home, where, say=_say)
    print(from_here(place))
    sys.stdout.flush()
    megabytes = place.stat().st_size / 1e6
    _say(f"{name}: {manifest.trials} trials, {manifest.files} files, {megabytes:.1f} MB; `seisweep merge` takes it in")


def merge(
    sweep: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A sweep in the home, or a file written by `seisweep pack`."),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="MLflow server to copy it to, as http://HOST:5000; default for a FILE: the home."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NEW", help="Name of the sweep there; default: its own.")] = None,
) -> None:
    """Copy a sweep into a home or to an MLflow server, for instance from an offline node. Repeating it adds nothing
    twice."""
    home, file = Home.find(), Path(sweep).expanduser().resolve()
    check_name(name)
    is_sweep, is_file = sweep in home.sweep_names, file.is_file()
    if to is None and (is_file or not is_sweep):
        return _into_the_home(file, home, name)
    if to is None:
        raise ValueError(f"{sweep} is a sweep of this home: give the server that it goes to with --to URI")
    if is_sweep and is_file:
        raise ValueError(
            f"{sweep} is a file here and also a sweep: write ./{sweep} for the file, or go to another folder for the "
            "sweep"
        )
    if not is_sweep and not is_file:
        raise ValueError(f"{sweep}: no sweep in {home.root} and no file of this name{nearest(sweep, home.sweep_names)}")
    return _to_a_store(sweep, file if is_file else None, home, to, name)


def _into_the_home(file: Path, home: Home, name: str | None) -> None:
    from seisweep.archive.merging import merge as merged

    manifest = merged(file, home, _say, name)
    print(name or manifest.sweep)
    sys.stdout.flush()
    _say(f"{manifest.trials} trials, {manifest.state}; next: seisweep results {name or manifest.sweep}")


def _to_a_store(sweep: str, file: Path | None, home: Home, to: str, name: str | None) -> None:
    store = given_store(to, home)
    from seisweep.archive.bringing import bring_archive, bring_sweep

    if file is not None:
        brought = bring_archive(file, store, _say, name)
    else:
        brought = bring_sweep(sweep, home, store, _say, name)
    print(brought.name)
    sys.stdout.flush()
    is_new = f"{brought.num_written} runs written" if brought.num_written else "all of it was there already"
    _say(f"{brought.trials} trials, {brought.state}, in {store.uri}: {is_new}")
    if file is None:
        _say(f"{sweep} stays in the home as it is; when it has more trials, the same command adds them")
    _say(f"next: MLFLOW_TRACKING_URI={store.uri} seisweep results {brought.name}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
