"""`seisweep settings`: what can be set."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from seisweep.screen.tables import Format, TableFormat, write
from seisweep.screen.terminal import bold, columns_of

if TYPE_CHECKING:
    from seisweep.requested.explained import Explained

MOST_COLUMNS = 100
"""Longer lines are hard to read."""


def settings(
    sweep: Annotated[
        str, typer.Argument(help="A named sweep (see `seisweep sweeps`), a trainable, or module:function.")
    ],
    key: Annotated[str | None, typer.Argument(help="A key, or a part of a key: data. or rate.")] = None,
    format: TableFormat = Format.TABLE,
) -> None:
    """List what can be set: every key with its default, allowed values and meaning, and where the sweep searches it."""
    from seisweep.requested.explained import explained, groups, matching, what_is

    chosen = what_is(sweep)
    found = explained(chosen)
    found = matching(found, key) if key else found
    if format is not Format.TABLE:
        write([one._asdict() for one in found], format)
        return
    about = groups(chosen)
    group = ""
    for one in found:
        if one.key.partition(".")[0] != group:
            group = one.key.partition(".")[0]
            if "." in one.key:
                print(f"{group}: {about[group]}\n" if about.get(group) else f"{group}\n")
        print("\n".join(_lines(one)), end="\n\n")
    sys.stdout.flush()
    if not key:
        options = "seisweep run --help: number of trials, search, early stopping, resources"
        print(f"{len(found)} settings, given as key=value; {options}", file=sys.stderr)


def _lines(one: Explained) -> list[str]:
    default = f"{one.default} {one.unit}".rstrip() if one.default not in ("none", "must be given") else one.default
    facts = [f"takes {one.takes}" + (f" ({one.unit})" if one.unit and one.default == "none" else "")]
    if one.fixed:
        facts.append(f"this sweep has {one.fixed}")
    if one.searched:
        facts.append(f"searched: {one.searched}")
    columns = columns_of(sys.stdout)
    lines = [f"{bold(one.key, sys.stdout)} = {default}"]
    for text in (one.meaning, "; ".join(facts)):
        if columns is None:
            lines.append(f"    {text}")
        else:
            width = min(columns, MOST_COLUMNS)
            lines += textwrap.wrap(text, max(20, width), initial_indent="    ", subsequent_indent="    ")
    return [line for line in lines if line.strip()]
