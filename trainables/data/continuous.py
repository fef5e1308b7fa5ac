"""Continuous waveforms out of files and folders: what each station has recorded, without gaps and without dead time.

Files are read as `seisweep pick` reads them (`trainables.edge`): one instrument at a time at each place, at 100 Hz.
"""

# X component (E, N, Z), T time sample

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from obspy import UTCDateTime

from trainables.data.archives import FileArchive
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.edge.chosen import EVERYTHING
from trainables.edge.instruments import SLACK_NS, alive_spans
from trainables.edge.network import Network
from trainables.edge.pieces import Piece
from trainables.edge.sds import files_of
from trainables.edge.stretches import Span, merged
from trainables.edge.waveforms import CONTEXT_S, Recording, recordings
from trainables.fetched import is_elsewhere

SAMPLE_NS = round(1e9 / SAMPLING_RATE_HZ)
BLOCK_SAMPLES = 360_000
"""An hour: what is in memory of an instrument at a time."""

_READ_MARGIN_NS = round((CONTEXT_S + 10) * 1e9)


class Stretch(NamedTuple):
    """Part of what one instrument has recorded without a gap, in which some component lives."""

    station: str
    """NET.STA"""
    instrument: str
    """NET.STA.LOC.HH, with the first two letters of its channels."""
    start_ns: int
    """Time of the first sample, nanoseconds since 1970."""
    num_samples: int
    """At 100 Hz."""
    recording: int
    """Which of the archive's recordings it is of."""
    record_start_ns: int
    """When the record begins that it is a part of: samples lie on the grid of that time."""

    @property
    def end_ns(self) -> int:
        """One sample after the last."""
        return self.start_ns + self.num_samples * SAMPLE_NS

    @property
    def seconds(self) -> float:
        return self.num_samples / SAMPLING_RATE_HZ

    def cut(self, start_ns: int, end_ns: int) -> Stretch | None:
        """What of it lies between two times; None where nothing does."""
        first = max(0, -(-(start_ns - self.start_ns) // SAMPLE_NS))
        last = min(self.num_samples, -(-(end_ns - self.start_ns) // SAMPLE_NS))
        if last <= first:
            return None
        return self._replace(start_ns=self.start_ns + first * SAMPLE_NS, num_samples=last - first)


@dataclass
class Continuous:
    """An archive of continuous waveforms, from its headers; samples are read when they are asked for."""

    stretches: list[Stretch]
    """In the order of instrument and time. Gaps and dead time lie between them."""
    said: list[str]
    """What was left out, or is not as a picker expects it, a line each with its count."""
    pieces: dict[str, list[Piece]]
    """What the files hold of each NET.STA."""
    failed: dict[str, str] = field(default_factory=dict)
    """What turned out to be unreadable, and why. It counts as a gap: zeros."""
    _recordings: list[Recording] = field(default_factory=list)
    _starts: dict[int, tuple[list[int], int]] = field(default_factory=dict)

    @property
    def stations(self) -> list[str]:
        return sorted({stretch.station for stretch in self.stretches})

    def read(self, stretch: Stretch, first: int = 0, last: int | None = None) -> np.ndarray:
        """Counts (3, last - first) float32 in order E, N, Z; a component that is not recorded is zero."""
        recording = self._recordings[stretch.recording]
        begin = (stretch.start_ns - stretch.record_start_ns) // SAMPLE_NS + first
        count = (stretch.num_samples if last is None else last) - first
        start_ns = stretch.start_ns + first * SAMPLE_NS
        few = replace(recording, pieces=self._near(stretch.recording, start_ns, start_ns + count * SAMPLE_NS))
        few._held = recording._held  # blocks that the next hour needs too
        read_XT = few.read(UTCDateTime(ns=stretch.record_start_ns), begin, begin + count)
        recording._held = few._held
        return read_XT

    def blocks(self, stretch: Stretch, block_samples: int = BLOCK_SAMPLES) -> Iterator[tuple[int, np.ndarray]]:
        """All of a stretch by and by: the number of the first sample, and counts (3, T)."""
        for first in range(0, stretch.num_samples, block_samples):
            yield first, self.read(stretch, first, min(first + block_samples, stretch.num_samples))

    def _near(self, number: int, start_ns: int, end_ns: int) -> list[Piece]:
        """Pieces of a recording that reading between two times may need: of a year there are 100,000."""
        pieces = self._recordings[number].pieces  # in the order of time
        if number not in self._starts:
            longest = max(piece.end.ns - piece.start.ns for piece in pieces)
            self._starts[number] = [piece.start.ns for piece in pieces], longest
        starts, longest = self._starts[number]
        first = bisect.bisect_left(starts, start_ns - longest - _READ_MARGIN_NS)
        return pieces[first : bisect.bisect_right(starts, end_ns + _READ_MARGIN_NS)]

    def _lost(self, file: Path, reason: str) -> None:
        self.failed[str(file)] = reason


def open_continuous(streams: Sequence[str | Path]) -> Continuous:
    """The waveforms in files, folders and SeisComP data structures (SDS), of which the headers are read.

    Raises ValueError in one line where there are none, none with all three components, or none that live.
    """
    name = f"data.streams={','.join(map(str, streams))}"
    places = places_of(streams)
    try:
        archive = FileArchive.of(files_of(places, EVERYTHING))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    of_station: dict[str, list[Piece]] = defaultdict(list)
    for place, pieces in archive.pieces.items():
        of_station[place.rpartition(".")[0]] += pieces
    found = of_pieces(of_station, archive.failed)
    if not found._recordings:
        what = found.said[0] if found.said else "no channel of components E, N, Z"
        raise ValueError(f"{name}: no waveforms that a picker can use ({what})")
    if all(len(one.components) < len(COMPONENT_ORDER) for one in found._recordings):
        there = ", ".join(f"{one.name}{''.join(sorted(one.components))}" for one in found._recordings[:3])
        raise ValueError(f"{name}: no instrument has three components E, N, Z (found {there})")
    if not found.stretches:
        raise ValueError(
            f"{name}: no waveforms that are not dead for {WINDOW_SAMPLES / SAMPLING_RATE_HZ:.0f} s without a gap"
        )
    if archive.failed:
        file, reason = next(iter(archive.failed.items()))
        found.said.append(f"{len(archive.failed)} files cannot be read; the first is {file} ({reason})")
    return found


def places_of(streams: Sequence[str | Path]) -> list[Path]:
    """The files and folders that are named. Raises ValueError where one is not here."""
    for place in streams:
        if is_elsewhere(str(place)):
            raise ValueError(f"data.streams={place}: streams must be files and folders on this machine: copy them here")
        if not Path(place).expanduser().exists():
            raise ValueError(f"data.streams={place}: no such file or folder")
    return [Path(place).expanduser().absolute() for place in streams]


def of_pieces(pieces: dict[str, list[Piece]], failed: dict[str, str] | None = None) -> Continuous:
    """The same of what an index says that files hold of each station."""
    lines: list[str] = []
    found = Continuous([], [], pieces, dict(failed or {}))
    every = [piece for its in pieces.values() for piece in its]
    found._recordings = recordings(every, _LISTENER, lines.append, found._lost, lost=lines.append)
    short = 0
    for number, recording in enumerate(found._recordings):
        recording.pieces.sort(key=lambda piece: piece.start.ns)
        for stretch in _stretches(number, recording):
            if stretch.num_samples >= WINDOW_SAMPLES:
                found.stretches.append(stretch)
            else:
                short += 1
    found.said += _counted(lines)
    if short:
        found.said.append(f"{short} stretches shorter than a window of {WINDOW_SAMPLES} samples are left out")
    return found


_LISTENER = Network(
    "streams", COMPONENT_ORDER, "PSN", SAMPLING_RATE_HZ, WINDOW_SAMPLES, probabilities=lambda raw_BXT: raw_BXT
)
"""What instruments are chosen for: any picker of windows of 3001 samples."""


def _stretches(number: int, recording: Recording) -> Iterator[Stretch]:
    station = recording.id.rpartition(".")[0]
    alive = merged((span for its in alive_spans(recording).values() for span in its), SLACK_NS)
    for part in recording.parts():
        start_ns = part.start.ns
        first, last = part.own
        own = Stretch(station, recording.name, start_ns + first * SAMPLE_NS, last - first, number, start_ns)
        for begin_ns, end_ns in _between(alive, own.start_ns, own.end_ns):
            if living := own.cut(begin_ns, end_ns):
                yield living


def _between(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    first = bisect.bisect_right([its_end for _, its_end in spans], start)
    for begin, its_end in spans[first:]:
        if begin >= end:
            return
        # Records end some nanoseconds beside the grid: what is less than the slack is no dead time.
        near_start, near_end = begin - start <= SLACK_NS, end - its_end <= SLACK_NS
        yield (start if near_start else begin), (end if near_end else its_end)


_OF_ONE = re.compile(r"^([\w.*]*\.[\w.]*): (.*)$")


def _counted(lines: Iterable[str]) -> list[str]:
    """Lines that say the same of several channels as one, with their number."""
    same: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        match = _OF_ONE.match(line)
        same[re.sub(r"^\d+ samples", "samples", match[2]) if match else line].append(match[1] if match else "")
    found = []
    for what, named in same.items():
        one = f"{named[0]}: {what}" if named[0] else what
        found.append(f"{one}, and {len(named) - 1} more like it" if len(named) > 1 else one)
    return found
