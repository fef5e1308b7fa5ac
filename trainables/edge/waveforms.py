"""What files hold, and the samples of one instrument out of them, read in pieces."""

# X component, T time sample

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import obspy
from obspy import UTCDateTime

from trainables.edge.channels import EVERY_CHANNEL, Wanted, code_of, left_out_lines, why_not
from trainables.edge.chosen import EVERYTHING, Chosen
from trainables.edge.files import first_line, traces_in
from trainables.edge.instruments import pick_one_at_a_time
from trainables.edge.joining import SLACK, at_rate, clean, join, resample, same
from trainables.edge.network import Network
from trainables.edge.pieces import Piece
from trainables.edge.stretches import Span, merged

SEAM_S = 0.1
"""Two records of one component that overlap by less follow on each other."""


CONTEXT_S = 60
"""What is read on either side of a piece before it is resampled, so that the filter's edges are cut off."""


class Part(NamedTuple):
    """What is picked of a continuous stretch, and what is read for it. Samples are those after `start`."""

    start: UTCDateTime
    read: tuple[int, int]
    """First sample and end; begins and ends on the grid of windows of the whole stretch."""
    own: tuple[int, int]
    """First sample and end of what is picked; the rest belongs to another instrument."""


@dataclass
class Recording:
    """The components of one instrument, NET.STA.LOC, as far as they are recorded."""

    id: str
    family: str
    """Band and instrument code, the first two letters of its channels."""
    pieces: list[Piece]
    network: Network
    failed: Callable[[Path, str], None]
    """Told of files that turn out to be unreadable; they count as gaps."""
    chosen: Chosen = EVERYTHING
    """What lies outside is read at most as the context of a filter."""
    wanted: Wanted = EVERY_CHANNEL
    say: Callable[[str], None] = print
    lost: Callable[[str], None] = print
    """Told in one line what should have been picked and could not be."""
    own: list[Span] | None = None
    """When it is picked; None: always. At other times another instrument at this place is."""
    _held: dict[tuple[Path, tuple[int, int] | None, str], list[obspy.Trace]] = field(default_factory=dict)
    """Channels of blocks, and files read whole, whose time span is under way."""
    _said: set[str] = field(default_factory=set)
    differing: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    """By channel, or pair of channels of one component: when records of one time were found that differ."""

    @property
    def name(self) -> str:
        return f"{self.id}.{self.family}"

    @property
    def components(self) -> set[str]:
        return {self.component(piece.id) for piece in self.pieces}

    @property
    def rates_hz(self) -> list[float]:
        return sorted({piece.rate_hz for piece in self.pieces})

    def segments(self) -> list[tuple[UTCDateTime, int]]:
        """Start and number of samples of each chosen stretch in which any component is recorded."""
        spans: list[list[UTCDateTime]] = []
        for piece in sorted(self.pieces, key=lambda piece: piece.start):
            end = piece.end + 1 / piece.rate_hz
            if spans and piece.start <= spans[-1][1] + (SLACK if piece.jitters else 0.5) / piece.rate_hz:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([piece.start, end])
        stretches = [(start, round((end - start) * self.network.rate_hz)) for start, end in spans]
        return self.chosen.cut(stretches, self.network.rate_hz)

    def parts(self) -> list[Part]:
        """What is picked, in the order of time. Where it is less than a segment, a window on either side is read
        too."""
        found = []
        window, stride = self.network.window_samples, self.network.window_samples - self.network.overlap_samples
        for start, num_samples in self.segments():
            if self.own is None:
                found.append(Part(start, (0, num_samples), (0, num_samples)))
                continue
            for own in self.own:
                first, last = (round((t - start.ns) * self.network.rate_hz / 1e9) for t in own)
                first, last = max(first, 0), min(last, num_samples)
                if first < last:
                    since = max(0, first - window) // stride * stride
                    until = since + window + -(-max(0, last - since) // stride) * stride
                    found.append(Part(start, (since, min(until, num_samples)), (first, last)))
        return found

    def read(self, start: UTCDateTime, first: int, last: int) -> np.ndarray:
        """Counts (X, last - first) float32 at the network's rate, `first` samples after `start`; zero in gaps.

        Where records of one component overlap and differ, the later one stands; a channel of the component's own letter
        before one that stands for it.
        """
        rate_hz = self.network.rate_hz
        raw_XT = np.zeros((len(self.network.components), last - first), dtype=np.float32)
        begin, end = start + first / rate_hz, start + (last - 1) / rate_hz
        placed: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
        for trace in self._traces(start, begin, end):
            row = self.network.components.index(self.component(trace.id))
            at = round((trace.stats.starttime - begin) * rate_hz)
            low, high = max(at, 0), min(at + trace.stats.npts, last - first)
            if high > low:
                for other, from_, to in placed[row]:
                    if min(to, high) - max(from_, low) > SEAM_S * rate_hz:
                        self._note(other, trace.id, begin + max(from_, low) / rate_hz, begin + min(to, high) / rate_hz)
                placed[row].append((trace.id, low, high))
                raw_XT[row, low:high] = trace.data[low - at : high - at]
        return raw_XT

    def remarks(self) -> list[str]:
        """What was found while reading, a line each."""
        found = []
        for what, spans in sorted(self.differing.items()):
            times = merged(spans)
            seconds = sum(end - start for start, end in times) / 1e9
            where = f"in {len(times)} places, " if len(times) > 1 else ""
            found.append(f"{what} is picked, {where}{seconds:.1f} s in all")
        return found

    def _note(self, one: str, other: str, start: UTCDateTime, end: UTCDateTime) -> None:
        same_channel = f"{one}: where records of the same time differ, the later one"
        what = same_channel if one == other else f"{one} and {other} are one component at one time: {other}"
        self.differing[what].append((start.ns, end.ns))

    def component(self, id: str) -> str:
        return self.wanted.component(code_of(id), self.network.components)

    def _traces(self, start: UTCDateTime, begin: UTCDateTime, end: UTCDateTime) -> list[obspy.Trace]:
        """What lies between, and a little more, at the network's rate, in the order of time."""
        by_id: dict[str, list[obspy.Trace]] = defaultdict(list)
        reached = set()
        for piece in self.pieces:
            margin_s = 2 / piece.rate_hz
            if not same(piece.rate_hz, self.network.rate_hz):
                margin_s += CONTEXT_S
            if piece.start > end + margin_s or piece.end < begin - margin_s:
                continue
            # Begin where old and new samples coincide, so that no piece is shifted against another.
            every_s = Fraction(piece.rate_hz).limit_denominator(100).denominator
            since = start + max(0, (begin - start - margin_s) // every_s * every_s)
            reached.add(_held_as(piece))
            by_id[piece.id] += self._read_piece(piece, since, end + margin_s)
        self._held = {key: held for key, held in self._held.items() if key in reached}
        traces = [trace for id, its in by_id.items() for trace in self._at_one_rate(id, its)]
        return sorted(
            traces, key=lambda t: (self.wanted.precedence(code_of(t.id), self.component(t.id)), t.stats.starttime)
        )

    def _at_one_rate(self, id: str, traces: list[obspy.Trace]) -> list[obspy.Trace]:
        """One channel, cleaned and joined; what cannot be is lost alone."""
        try:
            by_rate: dict[float, list[obspy.Trace]] = defaultdict(list)
            for trace in traces:
                clean(trace)
                if same(trace.stats.sampling_rate, self.network.rate_hz):
                    at_rate(trace, self.network.rate_hz)
                by_rate[trace.stats.sampling_rate].append(trace)
            found = []
            for its in by_rate.values():
                joined, differing = join(its)
                found += joined
                for start, length_s in differing:
                    self._note(id, id, start, start + length_s)
            for trace in found:
                resample(trace, self.network.rate_hz)
        except Exception as error:  # whatever is wrong with one channel costs no other one its picks
            if id not in self._said:
                self._said.add(id)
                self.lost(f"{id}: cannot be picked ({first_line(error)})")
            return []
        return found

    def _read_piece(self, piece: Piece, begin: UTCDateTime, end: UTCDateTime) -> list[obspy.Trace]:
        held = _held_as(piece)
        try:
            if held not in self._held:
                self._held[held] = traces_in(*held)
        except Exception as error:
            self.failed(piece.file, first_line(error))
            self._held[held] = []
        of_piece = [t for t in self._held[held] if piece.holds(t)]
        # What is read whole may hold several pieces of a channel; each comes once.
        return [t for t in (t.slice(begin, end).copy() for t in of_piece) if t.stats.npts > 0]


def _held_as(piece: Piece) -> tuple[Path, tuple[int, int] | None, str]:
    return piece.file, piece.block, "*" if piece.block is None else piece.id


def recordings(
    pieces: Iterable[Piece],
    network: Network,
    say: Callable[[str], None],
    failed: Callable[[Path, str], None],
    wanted: Wanted = EVERY_CHANNEL,
    lost: Callable[[str], None] | None = None,
) -> list[Recording]:
    """One for each instrument that is picked, with the time when it is; what is left out, or differs from what the
    network expects, is said. `lost` is told what should be picked and cannot be."""
    lost = lost or say
    by_place: dict[str, dict[str, Recording]] = defaultdict(dict)
    left_out: dict[str, set[str]] = defaultdict(set)
    used = set()
    for piece in pieces:
        place, _, code = piece.id.rpartition(".")
        reason = why_not(code, piece.rate_hz, wanted, network.components, network.rate_hz)
        if reason:
            left_out[reason].add(piece.id)
            continue
        used.add(piece.id)
        new = Recording(place, code[:-1], [], network, failed, EVERYTHING, wanted, say, lost)
        by_place[place].setdefault(code[:-1], new).pieces.append(piece)
    for line in left_out_lines(left_out, used):
        say(line)
    return [one for _, families in sorted(by_place.items()) for one in pick_one_at_a_time(list(families.values()), say)]


def check_there(waveforms: Sequence[str | Path]) -> None:
    """Raises ValueError where none of these files and folders is there. One that is missing among others is named when
    its turn comes, and the others are picked."""
    absent = [str(given) for given in waveforms if not Path(given).exists()]
    if absent and len(absent) == len(waveforms):
        more = f", nor any of {len(absent) - 1} more" if len(absent) > 1 else ""
        raise ValueError(f"{absent[0]}: no such file or folder{more}")


def find_files(waveforms: Sequence[str | Path]) -> list[Path]:
    """The files, and all files of the folders among them. Raises ValueError where a folder holds none."""
    files: list[Path] = []
    for given in map(Path, waveforms):
        inside = (
            sorted(p for p in given.rglob("*") if p.is_file() and not p.name.startswith("."))
            if given.is_dir()
            else [given]
        )
        if not inside:
            raise ValueError(f"{given}: no files in this folder")
        files += inside
    return list(dict.fromkeys(files))
