"""`seisweep results` and `seisweep sweeps`: what was found, and what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from seisweep.commands.evaluate import Format, TableFormat


def results(
    name: Annotated[str, typer.Argument(help="Name of a launched sweep (see `seisweep sweeps`).")],
    top: Annotated[int | None, typer.Option(min=1, help="Only the best so many.")] = None,
    sort: Annotated[str | None, typer.Option(help="Metric or setting to sort by; default the objective.")] = None,
    format: TableFormat = Format.TABLE,
) -> None:
    """Trials of a sweep as a table."""
    print(name, top, sort, format)


def sweeps(format: TableFormat = Format.TABLE) -> None:
    """Named sweeps that can be run, and those launched with their state."""
    print(format)
