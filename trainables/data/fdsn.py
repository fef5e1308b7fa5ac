"""Waveforms of a data centre, by its FDSN web services (https://www.fdsn.org/webservices/)."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import obspy
from obspy import UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import (
    FDSNBadRequestException,
    FDSNException,
    FDSNForbiddenException,
    FDSNNoDataException,
    FDSNRequestTooLargeException,
    FDSNUnauthorizedException,
)

from trainables.edge import FDSN
from trainables.edge.chosen import EVERYTHING, Chosen

EXAMPLE = "fdsn:https://geofon.gfz.de?network=CX&station=PB01&channel=HH?"
SEISMOMETERS = "HH?,BH?,EH?,SH?"
"""Channels where none are named."""
PIECE_S = 6 * 3600
"""What is asked for at a time, of one place: a quarter of a day of three channels is some 10 MB."""
LEAST_S = 60
"""What is not cut in halves any more where a server says that it is too large."""
TIMEOUT_S = 60
WAITS_S = (2.0, 10.0)
"""Before each further try."""
FINAL = (FDSNNoDataException, FDSNBadRequestException, FDSNUnauthorizedException, FDSNForbiddenException)
"""Answers that another try does not change."""
ALIASES = {
    "net": "network",
    "sta": "station",
    "loc": "location",
    "cha": "channel",
    "start": "starttime",
    "end": "endtime",
}

Answer = TypeVar("Answer")


class ChannelSpan(NamedTuple):
    """When a channel is there."""

    id: str
    """NET.STA.LOC.CHAN"""
    rate_hz: float
    start: UTCDateTime
    end: UTCDateTime

    @property
    def place(self) -> str:
        """NET.STA.LOC"""
        return self.id.rpartition(".")[0]


@dataclass
class FdsnArchive:
    """A data centre, and which of its channels are meant. Errors are ValueErrors in one line."""

    address: str
    """URL, or a name that ObsPy knows (GEOFON, NCEDC)."""
    network: str = "*"
    station: str = "*"
    location: str = "*"
    channel: str = SEISMOMETERS
    waits_s: Sequence[float] = WAITS_S
    client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of parameters that a server does not know and we do not use
                self.client = Client(self.address, timeout=TIMEOUT_S)
        except Exception as error:  # of a URL, of a connection, of XML: ObsPy wraps some
            raise ValueError(f"{FDSN}{self.address} does not answer as a data centre ({_in_a_line(error)})") from None
        lacking = {"dataselect", "station"} - set(self.client.services)
        if lacking:
            raise ValueError(f"{FDSN}{self.address} has no FDSN service {' and '.join(sorted(lacking))}")

    def channels(self, start: UTCDateTime, end: UTCDateTime, chosen: Chosen = EVERYTHING) -> list[ChannelSpan]:
        """Those that the data centre says to have recorded between, in the order of their ids; none is no error."""
        try:
            inventory = self._asked(lambda: self._inventory(start, end))
        except FDSNNoDataException:
            return []
        except Exception as error:  # also of XML that cannot be read
            raise ValueError(f"{FDSN}{self.address}: no list of stations ({_in_a_line(error)})") from None
        spans = [
            ChannelSpan(
                f"{network.code}.{station.code}.{channel.location_code}.{channel.code}",
                float(channel.sample_rate or 0),
                max(start, channel.start_date or start),
                min(end, channel.end_date or end),
            )
            for network in inventory
            for station in network
            if chosen.has_station(network.code, station.code)
            for channel in station
        ]
        return sorted(span for span in spans if span.start < span.end)

    def read(self, station_id: str, start: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        """Samples at `start` or later and before `end` of NET.STA.LOC; empty where there are none."""
        network, station, location = station_id.split(".")
        try:
            stream = self._asked(
                lambda: self.client.get_waveforms(network, station, location or "--", self.channel, start, end)
            )
        except FDSNNoDataException:
            return obspy.Stream()
        except FDSNRequestTooLargeException as error:
            if end - start < LEAST_S:
                raise ValueError(f"{station_id} from {start}: {_in_a_line(error)}") from None
            middle = start + (end - start) / 2
            return self.read(station_id, start, middle) + self.read(station_id, middle, end)
        except Exception as error:  # also of records that cannot be read
            raise ValueError(f"{station_id} from {start}: {_in_a_line(error)}") from None
        for trace in stream:
            trace.trim(start, end - trace.stats.delta / 1000, nearest_sample=False)  # whole records come
        return obspy.Stream([trace for trace in stream if trace.stats.npts])

    def _inventory(self, start: UTCDateTime, end: UTCDateTime) -> obspy.Inventory:
        return self.client.get_stations(
            level="channel",
            starttime=start,
            endtime=end,
            network=self.network,
            station=self.station,
            location=self.location or "--",
            channel=self.channel,
        )

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Again after a while where that may help: servers are busy, and restarted."""
        for wait_s in self.waits_s:
            try:
                return ask()
            except FINAL:
                raise
            except (FDSNException, OSError) as error:
                if isinstance(error, FDSNRequestTooLargeException):
                    raise
                time.sleep(wait_s)
        return ask()


@dataclass
class Fetching:
    """Waveforms of an archive between two times as files, station by station."""

    archive: FdsnArchive
    start: UTCDateTime
    end: UTCDateTime
    chosen: Chosen
    say: Callable[[str], None]
    failed: int = 0
    """Pieces that could not be fetched."""
    missing: list[str] = field(default_factory=list)
    """Stations that were named and have no waveforms."""

    def batches(self) -> Iterator[list[Path]]:
        """The files of one station after the other, each gone when the next is asked for.

        What cannot be fetched, and what the data centre does not have (HTTP 204), is said and counted.
        """
        if self.archive.channel == SEISMOMETERS:
            self.say(f"{FDSN}{self.archive.address}: channels {SEISMOMETERS}; channel=... asks for others")
        spans = self.archive.channels(self.start, self.end, self.chosen)
        stations = sorted({tuple(span.id.split(".")[:2]) for span in spans})
        with_data: set[tuple[str, ...]] = set()
        for network, station in stations:
            with tempfile.TemporaryDirectory(prefix="seisweep-fdsn-") as folder:
                its = [span for span in spans if span.id.startswith(f"{network}.{station}.")]
                files = list(self._fetched(f"{network}.{station}", its, Path(folder)))
                if files:
                    with_data.add((network, station))
                    yield files
        self._say_what_is_missing(with_data)

    def _fetched(self, name: str, spans: Sequence[ChannelSpan], folder: Path) -> Iterator[Path]:
        pieces = list(self._pieces(spans))
        empty, lost = 0, list[str]()
        for number, (place, start, end) in enumerate(pieces):
            _show(f"{name}: {number} of {len(pieces)} pieces fetched")
            try:
                stream = self.archive.read(place, start, end)
            except ValueError as error:
                lost.append(str(error))
                continue
            empty += not stream
            if stream:
                file = folder / f"{place}.{start.strftime('%Y%m%dT%H%M%S')}.{number}.mseed"
                stream.write(str(file), format="MSEED")
                yield file
        _show("")
        self.failed += len(lost)
        without = f"; the data centre has no data of {empty}" if empty else ""
        self.say(f"{name}: {len(pieces) - empty - len(lost)} of {len(pieces)} pieces fetched{without}")
        if lost:
            self.say(f"{name}: {len(lost)} of {len(pieces)} pieces could not be fetched ({lost[0]})")

    def _pieces(self, spans: Sequence[ChannelSpan]) -> Iterator[tuple[str, UTCDateTime, UTCDateTime]]:
        """Each place, piece by piece, as far as any of its channels is there."""
        for place in dict.fromkeys(span.place for span in spans):
            there = [span for span in spans if span.place == place]
            begin = self.start
            while begin < self.end:
                end = min(begin + PIECE_S, self.end)
                if any(span.start < end and begin < span.end for span in there):
                    yield place, begin, end
                begin = end

    def _say_what_is_missing(self, with_data: set[tuple[str, ...]]) -> None:
        there = {station for _, station in with_data}
        asked = "" if self.chosen.stations else self.archive.station  # who chose among them is told elsewhere
        named = [name for name in asked.split(",") if name and not set(name) & set("*?")]
        self.missing = [name for name in named if name not in there]
        if self.missing:
            self.say(f"{FDSN}{self.archive.address}: no waveforms of {', '.join(self.missing)}")
        elif not with_data:
            self.say(f"{FDSN}{self.archive.address}: no waveforms from {self.start} to {self.end}")


class Address(NamedTuple):
    """What `fdsn:URL?network=...` says."""

    settings: dict[str, str]
    """Fields of an FdsnArchive."""
    start: str | None
    end: str | None

    def archive(self) -> FdsnArchive:
        """Raises ValueError where the data centre does not answer."""
        return FdsnArchive(**self.settings, waits_s=WAITS_S)


def read_address(word: str) -> Address:
    """Raises ValueError in one line; no server is asked."""
    address, _, query = word.removeprefix(FDSN).partition("?")
    given: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        name = ALIASES.get(key, key)
        if name not in ALIASES.values():
            raise ValueError(f"{word}: {key} is not known; known are {', '.join(ALIASES.values())}, as in {EXAMPLE}")
        given[name] = value
    if not address or not given.get("network"):
        raise ValueError(f"{word}: needs an address and a network, as in {EXAMPLE}")
    start, end = given.pop("starttime", None), given.pop("endtime", None)
    return Address({"address": address, **given}, start, end)


def _show(line: str) -> None:
    """On one line of a terminal; silent elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _in_a_line(error: Exception) -> str:
    """ObsPy's errors have several: what happened, then what the server said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Detailed")]
    return "; ".join(lines[:4]) or type(error).__name__
