"""An archive in SeisComP's data structure (SDS): ROOT/YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY, a file a day."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from obspy import UTCDateTime

from trainables.edge.chosen import Chosen
from trainables.edge.waveforms import find_files

YEAR = "[12][0-9][0-9][0-9]"
DAY_S = 86400
RECORD_S = 120
"""How long a record may be: what begins before midnight lies whole in the file of the day before."""

_NAME = re.compile(r"[^.]+\.[^.]+\.[^.]*\.[^.]+\.D\.([12]\d{3})\.(\d{3})")


def files_of(waveforms: Sequence[str | Path], chosen: Chosen) -> list[Path]:
    """The files, and those of the folders among them; of an SDS archive only what may hold something that is chosen.

    Raises ValueError where a folder that is not an archive holds none.
    """
    files: list[Path] = []
    for given in map(Path, waveforms):
        files += sds_files(given, chosen) if is_sds(given) else find_files([given])
    return list(dict.fromkeys(files))


def is_sds(folder: Path) -> bool:
    """Whether one file at least lies and is called as in an archive."""
    return folder.is_dir() and any(day_of(file) for file in folder.glob(f"{YEAR}/*/*/*.D/*"))


def day_of(file: Path) -> tuple[UTCDateTime, UTCDateTime] | None:
    """Midnight before and after, by the file's name; None where that names no day."""
    named = _NAME.fullmatch(file.name)
    if named is None or not 1 <= int(named[2]) <= 366:
        return None
    midnight = UTCDateTime(int(named[1]), 1, 1) + (int(named[2]) - 1) * DAY_S
    return midnight, midnight + DAY_S


def sds_files(root: Path, chosen: Chosen) -> list[Path]:
    """Found by their names, in the order of station, channel and time; no file is opened."""
    found = []
    for year in root.glob(YEAR):
        if not _may_hold(chosen, _of_year(int(year.name))):
            continue
        for station in year.glob("*/*"):
            if chosen.has_station(station.parent.name, station.name):
                found += [file for file in _days(station) if _may_hold(chosen, day_of(file))]
    return sorted(found, key=lambda file: (file.parts[-4:-1], file.name))


def _days(station: Path) -> Iterator[Path]:
    for channel in station.glob("*.D"):
        yield from (file for file in channel.iterdir() if file.is_file() and not file.name.startswith("."))


def _of_year(year: int) -> tuple[UTCDateTime, UTCDateTime]:
    return UTCDateTime(year, 1, 1), UTCDateTime(year + 1, 1, 1)


def _may_hold(chosen: Chosen, span: tuple[UTCDateTime, UTCDateTime] | None) -> bool:
    """What does not say its day may hold anything."""
    if span is None:
        return True
    begin, end = span
    early = chosen.end is not None and begin >= chosen.end
    late = chosen.start is not None and end + RECORD_S <= chosen.start
    return not early and not late
