"""`seisweep pack` and `merge`: a sweep as one file, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName, profile_of
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here


def pack(
    name: Annotated[str, typer.Argument(help="A sweep of the home that is not running (see `seisweep sweeps`).")],
    file: Annotated[Path, typer.Argument(help="The archive to write, as distillation-1.tar.gz.")],
    profile: ProfileName = "local",
) -> None:
    """Write a sweep as one file, for a reviewer or another machine: runs, files, checkpoints, search state."""
    home, where = Home.find(), profile_of(profile)
    from seisweep.archive.packing import pack as packed

    place = file.expanduser().resolve()
    manifest = packed(name, place, home, where, say=_say)
    print(from_here(place))
    sys.stdout.flush()
    megabytes = place.stat().st_size / 1e6
    _say(f"{name}: {manifest.trials} trials, {manifest.files} files, {megabytes:.1f} MB; `seisweep merge` takes it in")


def merge(
    file: Annotated[Path, typer.Argument(help="An archive that `seisweep pack` has written.")],
) -> None:
    """Take a packed sweep into the home: it is listed, read and resumed here like any other."""
    home = Home.find()
    from seisweep.archive.merging import merge as merged

    manifest = merged(file.expanduser().resolve(), home, say=_say)
    print(manifest.sweep)
    sys.stdout.flush()
    _say(f"{manifest.trials} trials, {manifest.state}; next: seisweep results {manifest.sweep}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
