"""Archives of waveforms: files and folders of them, SeisComP data structures, FDSN web services."""

from __future__ import annotations

import bisect
import fnmatch
import importlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import obspy
import pandas as pd
from obspy import UTCDateTime

from trainables.edge import stretches
from trainables.edge.files import first_line, index, traces_in
from trainables.edge.pieces import Piece
from trainables.edge.reading import read_waveforms
from trainables.edge.sds import DAY_S, YEAR, day_of, is_sds
from trainables.edge.waveforms import find_files

FDSN = "fdsn:"

_TRIES = 10
_SLACK_NS = 1_000_000

Span = tuple[UTCDateTime, UTCDateTime]

_RESPONSES = ("RESP.*", "SACPZ*", "*.pz", "*.xml", "*.dataless", "*.seed.xml")


class Archive(Protocol):
    """Where waveforms come from. It is sent to other processes, so it holds no open file or connection."""

    failed: dict[str, str]
    """What could not be read, and why."""
    num_responses: int
    """Files that are responses, not waveforms."""
    no_waveform: set[str]
    """Channels that hold text, or have no rate."""

    def read(self, station_id: str, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        """All channels of NET.STA.LOC between two times, as they are recorded; any of the three may be `*`.

        An empty stream where nothing is recorded. Raises ValueError in one line where the archive cannot be asked.
        """
        ...

    def spans(self) -> dict[str, list[Span]]:
        """When each NET.STA may have been recorded; {} where the archive does not say."""
        ...


def open_archive(archive: str | Sequence[str], picks: pd.DataFrame) -> Archive:
    """An archive by `fdsn:SERVER?network=...`, or by files and folders, a SeisComP data structure (SDS) among them.

    A server is asked for the stations and the time of `picks` (station, time_ns). Raises ValueError in one line where
    there is no such thing.
    """
    given = [archive] if isinstance(archive, str) else list(archive)
    if any(place.startswith(FDSN) for place in given):
        if len(given) > 1:
            raise ValueError(
                f"{given[0]}: a server cannot be combined with others; build twice, the second time with --append"
            )
        times = (UTCDateTime(ns=int(picks["time_ns"].min())), UTCDateTime(ns=int(picks["time_ns"].max())))
        return ServerArchive(given[0], frozenset(picks["station"]), *times)
    for place in given:
        if not Path(place).exists():
            raise ValueError(f"{place}: no such file or folder of waveforms")
    if len(given) == 1 and is_sds(Path(given[0])):
        return SdsArchive(Path(given[0]).absolute())
    return FileArchive.of(find_files(given))


@dataclass
class FileArchive:
    """Files in any format that ObsPy reads, by an index of their headers."""

    pieces: dict[str, list[Piece]]
    """Stretches of each NET.STA.LOC, in the order of time."""
    failed: dict[str, str] = field(default_factory=dict)
    num_responses: int = 0
    """How many files are responses, not waveforms."""
    no_waveform: set[str] = field(default_factory=set)
    _longest_s: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[Path]) -> FileArchive:
        """Raises ValueError where none of them holds waveforms."""
        archive = cls({})
        pieces: dict[str, list[Piece]] = defaultdict(list)
        for file in files:
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in _RESPONSES):
                archive.num_responses += 1
                continue
            try:
                for piece in index(file.absolute(), archive._is_damaged):
                    if piece.rate_hz > 0:
                        pieces[piece.id.rpartition(".")[0]].append(piece)
                    else:
                        archive.no_waveform.add(piece.id)
            except Exception as error:
                archive.failed[str(file)] = first_line(error)
        if not pieces:
            what = "; ".join(f"{file}: {why}" for file, why in list(archive.failed.items())[:1])
            raise ValueError(f"no waveforms in the archive ({what or 'no files but responses'})")
        archive.pieces = {
            place: sorted(found, key=lambda piece: (piece.start, piece.id, piece.file, piece.block or (0, 0)))
            for place, found in sorted(pieces.items())
        }
        return archive

    def _is_damaged(self, file: Path, reason: str) -> None:
        """Part of a file cannot be read; what else is in it stands."""
        self.failed[f"part of {file}"] = reason

    def read(self, station_id: str, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        stream = obspy.Stream()
        for place in self.pieces:
            if fnmatch.fnmatchcase(place, station_id):
                for piece in self._between(place, start, end):
                    if str(piece.file) not in self.failed:
                        stream += self._read(piece, start, end)
        return stream

    def _between(self, place: str, start: UTCDateTime, end: UTCDateTime) -> list[Piece]:
        """Those that overlap with the span: found by bisection, since a year of a station has 100,000 pieces."""
        pieces = self.pieces[place]
        if place not in self._longest_s:
            self._longest_s[place] = max(piece.end - piece.start for piece in pieces)
        first = bisect.bisect_left(pieces, start - self._longest_s[place], key=lambda piece: piece.start)
        last = bisect.bisect_right(pieces, end, key=lambda piece: piece.start)
        return [piece for piece in pieces[first:last] if piece.end >= start]

    def _read(self, piece: Piece, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        try:
            traces = traces_in(piece.file, piece.block, piece.id)
        except Exception as error:
            self.failed[str(piece.file)] = first_line(error)
            return obspy.Stream()
        return obspy.Stream([trace for trace in traces if piece.holds(trace)]).trim(start, end)

    def spans(self) -> dict[str, list[Span]]:
        of_station: dict[str, list[Span]] = defaultdict(list)
        for place, pieces in self.pieces.items():
            station = place.rpartition(".")[0]
            of_station[station] += [(piece.start, piece.end + 1 / piece.rate_hz) for piece in pieces]
        return {station: merged(spans) for station, spans in of_station.items()}


@dataclass
class SdsArchive:
    """A SeisComP data structure, YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY: files are read when asked for."""

    root: Path
    failed: dict[str, str] = field(default_factory=dict)
    num_responses: int = 0
    no_waveform: set[str] = field(default_factory=set)

    def read(self, station_id: str, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        network, station, location = station_id.split(".")
        stream = obspy.Stream()
        for year, day in _days(start, end):
            pattern = f"{year}/{network}/{station}/*.D/{network}.{station}.{location}.*.D.{year}.{day:03d}"
            for file in sorted(self.root.glob(pattern)):
                if str(file) in self.failed:
                    continue
                try:
                    stream += read_waveforms(str(file), starttime=start, endtime=end)
                except Exception as error:
                    self.failed[str(file)] = first_line(error)
        return obspy.Stream([trace for trace in stream if trace.stats.npts])

    def spans(self) -> dict[str, list[Span]]:
        """By the days that have a file."""
        of_station: dict[str, list[Span]] = defaultdict(list)
        for file in self.root.glob(f"{YEAR}/*/*/*.D/*"):
            if span := day_of(file):
                network, station = file.name.split(".")[:2]
                of_station[f"{network}.{station}"].append(span)
        return {station: merged(spans) for station, spans in sorted(of_station.items())}


@dataclass
class ServerArchive:
    """A data centre, asked window by window. Requests that it does not serve are counted, and the others go on."""

    address: str
    codes: frozenset[str]
    """Codes of the stations with picks: no others are of interest."""
    first: UTCDateTime
    last: UTCDateTime
    failed: dict[str, str] = field(default_factory=dict)
    num_responses: int = 0
    no_waveform: set[str] = field(default_factory=set)
    _failed_in_a_row: int = 0

    def read(self, station_id: str, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        try:
            stream: obspy.Stream = self._server.read(station_id, start, end)
        except ValueError as error:
            self.failed[f"{station_id} {start}"] = first_line(error)
            self._failed_in_a_row += 1
            if self._failed_in_a_row == _TRIES:
                raise ValueError(f"{self.address}: {_TRIES} requests in a row failed ({first_line(error)})") from None
            return obspy.Stream()
        self._failed_in_a_row = 0
        return stream

    def spans(self) -> dict[str, list[Span]]:
        """When stations with picks were in operation, as the data centre says."""
        of_station: dict[str, list[Span]] = defaultdict(list)
        for channel in self._channels:
            network, station, *_ = channel.id.split(".")
            if station in self.codes:
                of_station[f"{network}.{station}"].append((channel.start, channel.end))
        return {station: merged(spans) for station, spans in sorted(of_station.items())}

    @cached_property
    def _channels(self) -> list[Any]:
        return list(self._server.channels(self.first - DAY_S, self.last + DAY_S))

    @cached_property
    def _server(self) -> Any:
        try:
            fdsn = importlib.import_module("trainables.data.fdsn")
        except ModuleNotFoundError:
            raise ValueError(f"{self.address}: FDSN servers are not supported by this version") from None
        return fdsn.read_address(self.address).archive()

    def __getstate__(self) -> dict[str, Any]:
        """Without the connection, which another process makes anew."""
        return {name: value for name, value in vars(self).items() if name != "_server"}


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in the order of time, those that touch as one."""
    in_ns = stretches.merged(((start.ns, end.ns) for start, end in spans), _SLACK_NS)
    return [(UTCDateTime(ns=start), UTCDateTime(ns=end)) for start, end in in_ns]


def _days(start: UTCDateTime, end: UTCDateTime) -> list[tuple[int, int]]:
    """Year and day of the year of each day between; the day before too, whose last record may reach over."""
    first = datetime(start.year, start.month, start.day) - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range((end.datetime - first).days + 1)]
    return [(day.year, day.timetuple().tm_yday) for day in days]
