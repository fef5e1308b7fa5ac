"""An archive in SeisComP's data structure (SDS): ROOT/YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY, a file a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from obspy import UTCDateTime

from trainables.edge.chosen import Chosen
from trainables.edge.waveforms import find_files

YEAR = "[12][0-9][0-9][0-9]"
RECORD_S = 120
"""How long a record may be: what begins before midnight lies whole in the file of the day before."""


def files_of(waveforms: Sequence[str | Path], chosen: Chosen) -> list[Path]:
    """The files, and those of the folders among them; of an SDS archive only what may hold something that is chosen.

    Raises ValueError where a folder that is no archive holds none.
    """
    files: list[Path] = []
    for given in map(Path, waveforms):
        files += sds_files(given, chosen) if is_sds(given) else find_files([given])
    return list(dict.fromkeys(files))


def is_sds(folder: Path) -> bool:
    return folder.is_dir() and next(folder.glob(f"{YEAR}/*/*/*.D"), None) is not None


def sds_files(root: Path, chosen: Chosen) -> list[Path]:
    """Found by their names, in the order of station, channel and time; no file is opened."""
    found = []
    for year in root.glob(YEAR):
        if not _may_hold(chosen, *_of_year(int(year.name))):
            continue
        for station in year.glob("*/*"):
            if chosen.has_station(station.parent.name, station.name):
                found += [file for file in _days(station) if _may_hold(chosen, *_of_day(file))]
    return sorted(found, key=lambda file: (file.parts[-4:-1], file.name))


def _days(station: Path) -> Iterator[Path]:
    for channel in station.glob("*.D"):
        yield from (file for file in channel.iterdir() if file.is_file() and not file.name.startswith("."))


def _of_year(year: int) -> tuple[UTCDateTime, UTCDateTime]:
    return UTCDateTime(year, 1, 1), UTCDateTime(year + 1, 1, 1)


def _of_day(file: Path) -> tuple[UTCDateTime | None, UTCDateTime | None]:
    """Midnight before and after; nothing where the name does not say."""
    year, day = file.name.split(".")[-2:] if file.name.count(".") == 6 else ("", "")
    if not (len(year) == 4 and year.isdigit() and len(day) == 3 and day.isdigit() and 1 <= int(day) <= 366):
        return None, None
    midnight = UTCDateTime(int(year), 1, 1) + (int(day) - 1) * 86400
    return midnight, midnight + 86400


def _may_hold(chosen: Chosen, begin: UTCDateTime | None, end: UTCDateTime | None) -> bool:
    if begin is None or end is None:
        return True
    early = chosen.end is not None and begin >= chosen.end
    late = chosen.start is not None and end + RECORD_S <= chosen.start
    return not early and not late
