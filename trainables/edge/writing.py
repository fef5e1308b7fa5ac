"""Picks in a file or on standard output, in one of several formats."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from obspy import UTCDateTime

from trainables.edge.formats import TABLES
from trainables.edge.network import Network
from trainables.edge.picking import Pick

QUAKEML = "quakeml"
FORMATS = ("csv", QUAKEML, *(name for name in TABLES if name != "csv"))


def write(picks: Sequence[Pick], format: str, output: Path | None, network: Network) -> None:
    """One of FORMATS, into a file (complete or not at all) or to standard output."""
    text = _text(picks, format, network)
    if output is None:
        sys.stdout.write(text)
        return
    if output.exists() and not output.is_file():  # a device or a pipe, in whose place no file is put
        output.write_text(text, encoding="utf-8")
        return
    arriving = output.with_name(f".{output.name}.arriving")
    arriving.write_text(text, encoding="utf-8")
    arriving.replace(output)


def _text(picks: Sequence[Pick], format: str, network: Network) -> str:
    if format != QUAKEML:
        return TABLES[format](picks)
    from trainables.edge.quakeml import quakeml

    return quakeml(picks, network, UTCDateTime())
