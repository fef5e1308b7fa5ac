"""Picks out of event files and tables: whatever ObsPy reads, HYPO71 phase cards, CSV, as one table."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from trainables.data.arrivals import PICK_COLUMNS
from trainables.data.hypo71 import is_hypo71, read_hypo71
from trainables.data.pick_tables import PickRow, is_pick_table, read_pick_table
from trainables.edge.files import first_line

KINDS = {column.removeprefix("trace_").removesuffix("_arrival_sample"): kind for column, kind in PICK_COLUMNS.items()}
"""P or S for each phase name that counts as one."""

UNLOCATED_SPAN_S = 300
"""Picks of an event without an origin that span more do not belong to one earthquake."""

_GENERATED = re.compile(r"smi:local/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ONSET = re.compile(r"^[iIeE](?=[PSps])")


@dataclass
class Picks:
    """P and S picks of a network, and what was left out on the way."""

    table: pd.DataFrame
    """One row a pick: event ("" where no event is known), network, station, location ("" unknown), kind (P, S),
    time_ns (since 1970, UTC), status (manual, automatic, "")."""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    """SeisBench's source columns of each event whose origin is known."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many picks for which reason."""
    notes: list[str] = field(default_factory=list)
    """What was taken for granted, a line each."""


def read_picks(
    files: Sequence[str | Path], columns: Mapping[str, str] | None = None, phases: Sequence[str] = ("P", "S")
) -> Picks:
    """All picks of `phases` (kinds: P, S) in event files and CSV files; `columns` names those of a CSV.

    Raises ValueError in one line where a file cannot be read, a cell is wrong, or there is no pick at all.
    """
    rows: list[PickRow] = []
    events: dict[str, dict[str, Any]] = {}
    picks = Picks(pd.DataFrame())
    for file in map(Path, files):
        rows += _read_file(file, columns or {}, events, picks)
    kinds = [_kind(row.phase) for row in rows]
    for row, kind in zip(rows, kinds, strict=True):
        if kind not in phases:
            picks.left_out[f"phase {row.phase or '(no name)'} is not asked for"] += 1
    taken = [
        (row.event, row.network, row.station, row.location, kind, row.time_ns, row.status)
        for row, kind in zip(rows, kinds, strict=True)
        if kind in phases
    ]
    if not taken:
        named = ", ".join(map(str, files))
        what = f"{len(rows)} picks, none of them {' or '.join(phases)}" if rows else "no picks in it"
        raise ValueError(f"{named}: {what}")
    names = ["event", "network", "station", "location", "kind", "time_ns", "status"]
    table = pd.DataFrame(taken, columns=names).sort_values(
        ["time_ns", "network", "station", "location", "kind", "event", "status"], kind="stable"
    )
    picks.table = _without_duplicates(table, picks.left_out)
    picks.events = {event: events[event] for event in sorted(set(picks.table["event"]) & set(events))}
    return picks


def _read_file(
    file: Path, columns: Mapping[str, str], events: dict[str, dict[str, Any]], picks: Picks
) -> list[PickRow]:
    """Rows of one file in whatever format it is."""
    try:
        head = file.read_bytes()[:65536]
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror or error})") from None
    if not head.strip():
        raise ValueError(f"{file}: the file is empty")
    text = head.decode(errors="replace")
    if is_pick_table(text, columns) or (columns and file.suffix.lower() == ".csv"):
        return read_pick_table(file, columns, picks.left_out, picks.notes)
    if is_hypo71(text):
        return read_hypo71(file, picks.left_out)
    return _read_events(file, events, picks)


def _read_events(file: Path, events: dict[str, dict[str, Any]], picks: Picks) -> list[PickRow]:
    from obspy import read_events

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of readers about fields that no pick needs
            catalogue = read_events(str(file))
    except Exception as error:
        raise ValueError(
            f"{file}: neither an event file that ObsPy reads, nor HYPO71 cards, nor a table with columns station, "
            f"phase and time ({first_line(error)}); --columns station=...,phase=...,time=... names those of a table"
        ) from None
    rows: list[PickRow] = []
    for event in catalogue:
        name = _event_name(event)
        found = _event_rows(event, name, picks.left_out)
        if not _is_located(event) and _span_s(found) > UNLOCATED_SPAN_S:
            picks.notes.append(f"{file}: {len(found)} picks in one event without an origin: taken as not associated")
            found = [row._replace(event="") for row in found]
        elif _is_located(event):
            events[name] = {"source_id": name} | _source(event)
        rows += found
    return rows


def _event_rows(event: Any, name: str, left_out: Counter[str]) -> list[PickRow]:
    """The picks of an event; a pick's phase is that of its arrival, where it has one.

    Of several picks of one phase at one station those count that the origin was located with, then those of a person.
    """
    origin = _origin(event)
    arrivals = {str(arrival.pick_id): arrival for arrival in (origin.arrivals if origin else [])}
    best: dict[tuple[str, ...], tuple[int, list[PickRow]]] = {}
    for pick in event.picks:
        arrival = arrivals.get(str(pick.resource_id))
        phase = (arrival.phase if arrival and _kind(arrival.phase) else None) or pick.phase_hint or ""
        waveform = pick.waveform_id
        if waveform is None or not waveform.station_code or pick.time is None:
            left_out["no station or no time"] += 1
            continue
        if pick.evaluation_status == "rejected":
            left_out["marked as rejected"] += 1
            continue
        codes = _code(waveform.network_code), waveform.station_code.strip(), _code(waveform.location_code)
        row = PickRow(name, *codes, phase.strip(), pick.time.ns, pick.evaluation_mode or "")
        rank = 2 * (arrival is not None) + (row.status == "manual")
        standing, rows = best.setdefault((*codes[:2], row.phase), (rank, []))
        if rank == standing:
            rows.append(row)
            continue
        left_out["the event has a better pick of this phase"] += 1 if rank < standing else len(rows)
        if rank > standing:
            best[(*codes[:2], row.phase)] = (rank, [row])
    return [row for _, rows in best.values() for row in rows]


def _code(code: str | None) -> str:
    """A network's or location's code; "" where it is not known."""
    return "" if code is None or code.strip() in ("--", "?", "??", "*") else code.strip()


def _kind(phase: str | None) -> str:
    """P or S, "" for other phases; a leading mark of the onset (i, e) does not count."""
    name = (phase or "").strip()
    return KINDS.get(name) or KINDS.get(_ONSET.sub("", name), "")


def _origin(event: Any) -> Any:
    return event.preferred_origin() or (event.origins[0] if event.origins else None)


def _is_located(event: Any) -> bool:
    return _origin(event) is not None


def _event_name(event: Any) -> str:
    """Its id; where ObsPy has made up one, which differs each time, the time of the origin or the first pick."""
    name = str(event.resource_id.id if event.resource_id else "")
    if name and not _GENERATED.fullmatch(name):
        return name
    origin = _origin(event)
    times = [origin.time] if origin and origin.time else sorted(pick.time for pick in event.picks if pick.time)
    return f"event-{times[0]}" if times else ""


def _source(event: Any) -> dict[str, Any]:
    """SeisBench's source columns, as far as they are known."""
    origin = _origin(event)
    magnitude = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    return {
        "source_origin_time": str(origin.time) if origin.time else None,
        "source_latitude_deg": origin.latitude,
        "source_longitude_deg": origin.longitude,
        "source_depth_km": None if origin.depth is None else origin.depth / 1000,
        "source_magnitude": magnitude.mag if magnitude else None,
        "source_magnitude_type": magnitude.magnitude_type if magnitude else None,
    }


def _span_s(rows: Sequence[PickRow]) -> float:
    times_ns = [row.time_ns for row in rows]
    return (max(times_ns) - min(times_ns)) / 1e9 if times_ns else 0.0


def _without_duplicates(table: pd.DataFrame, left_out: Counter[str]) -> pd.DataFrame:
    """One pick of a phase at one time and station: that of an event, of a person, with more codes goes first."""
    rank = pd.DataFrame(
        {
            "no_event": table["event"] == "",
            "not_manual": table["status"] != "manual",
            "no_network": table["network"] == "",
            "no_location": table["location"] == "",
        }
    )
    # Catalogues and tables round times differently: a pick is the same within a millisecond.
    keyed = table.assign(_ms=table["time_ns"] // 1_000_000, **rank).sort_values([*rank, "time_ns"], kind="stable")
    doubled = keyed.duplicated(["station", "kind", "_ms"]) & _same_network(keyed)
    if doubled.any():
        left_out["given twice"] += int(doubled.sum())
    return table.loc[keyed.index[~doubled]].sort_index(kind="stable").pipe(_in_order)


def _same_network(keyed: pd.DataFrame) -> pd.Series:
    """Whether a pick's network is that of the first of its twins, or not known."""
    first = keyed.groupby(["station", "kind", "_ms"])["network"].transform("first")
    return (keyed["network"] == first) | (keyed["network"] == "")


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    order = ["time_ns", "network", "station", "location", "kind", "event"]
    return table.sort_values(order, kind="stable").reset_index(drop=True)
