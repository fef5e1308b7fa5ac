"""`seisweep report`: a sweep as one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.record.gc_pause import no_collections
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.settings.which_profile import profile_of


def report(
    name: Annotated[str, typer.Argument(help="Name of a launched sweep (see `seisweep sweeps`).")],
    output: Annotated[Path | None, typer.Option(help="File to write; default NAME.html here.")] = None,
    profile: ProfileName = "local",
) -> None:
    """Write a sweep as one HTML page without further files: what was asked, what was found, how it was run."""
    with no_collections():
        from seisweep import results
        from seisweep.report import write_report

        sweep = results.load_from(Home.find(), name, profile_of(profile))
        file = (output or Path(f"{name}.html")).expanduser().resolve()
        if file.is_dir():
            raise ValueError(f"--output {file} is a folder: give a file, as {file / f'{name}.html'}")
        write_report(sweep, file)
    print(from_here(file))
    sys.stdout.flush()
    if missing := sweep.missing_files():
        print(f"not on the page: {missing}", file=sys.stderr)
    print(f"in a browser: {file.as_uri()}", file=sys.stderr)
