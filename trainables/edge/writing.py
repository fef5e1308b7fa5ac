"""Picks as CSV or QuakeML, in a file or on standard output."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from trainables.edge.network import Network
from trainables.edge.picking import Pick
from trainables.edge.spreadsheet import as_cell

COLUMNS = ("network", "station", "location", "phase", "time", "probability")


def write(picks: Sequence[Pick], format: str, output: Path | None, network: Network) -> None:
    """CSV or QuakeML, into a file (complete or not at all) or to standard output."""
    text = io.StringIO()
    (_write_csv if format == "csv" else _write_quakeml)(picks, text, network)
    if output is None:
        sys.stdout.write(text.getvalue())
        return
    arriving = output.with_name(f".{output.name}.arriving")
    arriving.write_text(text.getvalue())
    arriving.replace(output)


def _write_csv(picks: Sequence[Pick], text: TextIO, network: Network) -> None:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*map(as_cell, pick[:5]), f"{pick.probability:.4f}") for pick in picks)


def _write_quakeml(picks: Sequence[Pick], text: TextIO, network: Network) -> None:
    """All picks in one event without origin: they are not associated, and QuakeML holds picks in events alone."""
    from obspy.core.event import Catalog, Comment, Event, ResourceIdentifier, WaveformStreamID
    from obspy.core.event import Pick as EventPick

    event = Event(comments=[Comment(text=f"picks of {network.name}, not associated with earthquakes")])
    for number, pick in enumerate(picks):
        event.picks.append(
            EventPick(
                resource_id=ResourceIdentifier(f"smi:local/pick/{pick.station}/{pick.phase}/{number}"),
                time=pick.time,
                phase_hint=pick.phase,
                waveform_id=WaveformStreamID(pick.network, pick.station, pick.location),
                evaluation_mode="automatic",
                comments=[Comment(text=f"probability {pick.probability:.4f}")],
            )
        )
    data = io.BytesIO()
    Catalog([event]).write(data, format="QUAKEML")
    text.write(data.getvalue().decode())
