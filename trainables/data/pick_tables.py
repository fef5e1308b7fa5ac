"""Picks out of a CSV file: tables of SeisBench, GaMMA, PyOcto, PhaseNet, `seisweep pick`, or any with named columns."""

from __future__ import annotations

import difflib
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

NAMES: dict[str, tuple[str, ...]] = {
    "station": ("station", "station_code", "sta", "station_id", "trace_id", "id"),
    "phase": ("phase", "phase_type", "phase_hint", "type"),
    "time": ("time", "phase_time", "timestamp", "peak_time", "pick_time", "arrival_time"),
    "network": ("network", "network_code", "net"),
    "location": ("location", "location_code", "loc"),
    "event": ("event", "event_id", "event_idx", "event_index", "source_id"),
    "status": ("status", "evaluation_mode"),
    "probability": ("probability", "prob", "phase_score", "confidence", "peak_value", "score"),
}
"""What the columns are called, the first of these that a table has."""

_NUMBERED = ("event_idx", "event_index")
_NEEDED = ("station", "phase", "time")
_ZONE = re.compile(r"(?:Z|[T ].*[+-]\d\d(?::?\d\d)?)\s*$")
_ZONE_BY_NAME = re.compile(r"\s*(?:UTC|GMT)\s*$")
_YEAR_2200_S = 7_258_118_400
"""Larger numbers are milliseconds, or digits such as 20140501001203."""
_NO_EVENT = ("", "-1", "-1.0", "nan", "None")


class PickRow(NamedTuple):
    """A pick as a file has it; "" for what it does not say."""

    event: str
    network: str
    station: str
    location: str
    phase: str
    time_ns: int
    """Nanoseconds since 1970, UTC."""
    status: str


def is_pick_table(text: str, columns: Mapping[str, str]) -> bool:
    """Whether the first line of a file names columns of station, phase and time."""
    header = text.lstrip("\ufeff").split("\n", 1)[0].strip().split(_separator(text))
    found = _columns([name.strip().strip('"') for name in header], columns)
    return all(name in found for name in _NEEDED)


def read_pick_table(file: Path, columns: Mapping[str, str], left_out: Counter[str], notes: list[str]) -> list[PickRow]:
    """Its picks. Times without a zone are UTC, numbers seconds since 1970; one line in `notes` counts the former.

    A station may be NET.STA, NET.STA.LOC or NET.STA.LOC.CHA. Raises ValueError naming file, line and value.
    """
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    try:
        table = pd.read_csv(io.StringIO(text), sep=_separator(text), dtype=str, na_filter=False, skipinitialspace=True)
    except pd.errors.ParserError as error:
        reason = str(error).strip().rpartition("C error: ")[2]
        raise ValueError(f"{file}: not the same number of columns in every line ({reason})") from None
    named = _checked(file, list(table.columns), columns)
    # A spreadsheet's cell that looked like a formula has an apostrophe before it.
    cells = {key: table[name].str.strip().str.removeprefix("'") for key, name in named.items()}
    times_ns, num_without_zone = _times(file, cells["time"])
    if num_without_zone:
        notes.append(f"{file}: {num_without_zone} of {len(table)} times without a time zone, read as UTC")
    empty = pd.Series("", index=table.index)
    automatic = "automatic" if "probability" in cells else ""
    # Associators count events from 0 in each of their tables.
    prefix = f"{file.stem}-" if named.get("event", "").lower() in _NUMBERED else ""
    rows = []
    for station, phase, time_ns, network, location, event, status in zip(
        cells["station"],
        cells["phase"],
        times_ns,
        cells.get("network", empty),
        cells.get("location", empty),
        cells.get("event", empty),
        cells.get("status", empty),
        strict=True,
    ):
        if not station:
            left_out["no station or no time"] += 1
            continue
        codes = _codes(station, network, location)
        event = "" if event in _NO_EVENT else f"{prefix}{event}"
        rows.append(PickRow(event, *codes, phase, time_ns, status or automatic))
    return rows


def _separator(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",\t;|", key=header.count)


def _columns(header: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """The name of each column that was found; what the user names stands."""
    lower = {name.lower(): name for name in reversed(header)}
    found = {key: lower[name] for key, names in NAMES.items() for name in names[::-1] if name in lower}
    return found | {key: name for key, name in given.items() if name in header}


def _checked(file: Path, header: list[str], given: Mapping[str, str]) -> dict[str, str]:
    for key, name in given.items():
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1)
            hint = f"; did you mean {near[0]}" if near else ""
            raise ValueError(f"{file}: no column {name} (--columns {key}={name}); it has {', '.join(header)}{hint}")
    found = _columns(header, given)
    for key in _NEEDED:
        if key not in found:
            raise ValueError(
                f"{file}: no column of the {key}; it has {', '.join(header)}: name one by --columns {key}=COLUMN"
            )
    return found


def _times(file: Path, cells: pd.Series) -> tuple[list[int], int]:
    """Nanoseconds since 1970, and how many were without a zone."""
    cells = cells.str.replace(_ZONE_BY_NAME, "Z", regex=True)
    numbers = pd.to_numeric(cells, errors="coerce")
    times = pd.to_datetime(cells.where(numbers.isna(), None), errors="coerce", utc=True, format="ISO8601")
    wrong = cells.index[(numbers.isna() & times.isna()) | (numbers.abs() > _YEAR_2200_S)]
    if len(wrong):
        row = wrong[0]
        raise ValueError(
            f"{file}, line {row + 2}: {cells[row] or 'nothing'} is not a time; right would be 2014-05-01T00:12:03.45Z "
            f"or seconds since 1970 ({len(wrong)} such)"
        )
    as_ns = [
        round(number * 1e6) * 1000 if time is pd.NaT else time.as_unit("ns").value
        for number, time in zip(numbers, times, strict=True)
    ]
    without_zone = numbers.isna() & ~cells.str.contains(_ZONE)
    return as_ns, int(without_zone.sum())


def _codes(station: str, network: str, location: str) -> tuple[str, str, str]:
    """Network, station, location; a station that is an id holds all of them."""
    if "." in station:
        parts = station.split(".")
        return parts[0], parts[1], parts[2] if len(parts) > 2 else location.replace("--", "")
    return network, station, location.replace("--", "")
