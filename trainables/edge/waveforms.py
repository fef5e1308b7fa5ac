"""What files hold, and the samples of one instrument out of them, read in pieces."""

# X component, T time sample

from __future__ import annotations

import glob
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import obspy
from obspy import UTCDateTime
from obspy.io.mseed.util import get_record_information

from trainables.edge.channels import (
    EVERY_CHANNEL,
    Wanted,
    left_out_lines,
    why_not,
)
from trainables.edge.instruments import pick_one_at_a_time
from trainables.edge.joining import clean, is_jitter, join, nominal_rate, resample, same
from trainables.edge.network import Network
from trainables.edge.pieces import Piece, piece_of, without_jitter
from trainables.edge.stretches import Span, merged

BLOCK_BYTES = 2**17
"""How much of a MiniSEED file is in memory at a time."""


QUALITIES = (b"D", b"R", b"Q", b"M")
"""Seventh byte of a MiniSEED record."""


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
    wanted: Wanted = EVERY_CHANNEL
    say: Callable[[str], None] = print
    lost: Callable[[str], None] = print
    """Told in one line what should have been picked and could not be."""
    own: list[Span] | None = None
    """When it is picked; None: always. At other times another instrument at this place is."""
    _held: dict[Path, obspy.Stream] = field(default_factory=dict)
    """Files read whole whose time span is under way."""
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

    @cached_property
    def nominal_hz(self) -> dict[str, float]:
        """Rate of each channel; records whose rate jitters about it are taken for it."""
        rates: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for piece in self.pieces:
            rates[piece.id].append((piece.rate_hz, (piece.span()[1] - piece.span()[0]) / 1e9))
        return {id: nominal_rate(its, self.network.rate_hz) for id, its in rates.items()}

    def segments(self) -> list[tuple[UTCDateTime, int]]:
        """Start and number of samples of each stretch in which any component is recorded."""
        spans: list[list[UTCDateTime]] = []
        for piece in sorted(self.pieces, key=lambda piece: piece.start):
            end = piece.end + 1 / piece.rate_hz
            jitters = not same(piece.rate_hz, self.nominal_hz[piece.id])
            if spans and piece.start <= spans[-1][1] + (1.5 if jitters else 0.5) / piece.rate_hz:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([piece.start, end])
        return [(start, round((end - start) * self.network.rate_hz)) for start, end in spans]

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
            found.append(f"{what}, {len(times)} times, {seconds:.1f} s in all; the later one is picked")
        return found

    def _note(self, one: str, other: str, start: UTCDateTime, end: UTCDateTime) -> None:
        what = f"{one}: records of one time that differ" if one == other else f"{one} and {other} are one component"
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
            reached.add(piece.file)
            # Begin where old and new samples coincide, so that no piece is shifted against another.
            every_s = Fraction(piece.rate_hz).limit_denominator(100).denominator
            since = start + max(0, (begin - start - margin_s) // every_s * every_s)
            by_id[piece.id] += self._read_piece(piece, since, end + margin_s)
        self._held = {file: held for file, held in self._held.items() if file in reached}
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
                rate_hz, nominal_hz = trace.stats.sampling_rate, self.nominal_hz[id]
                if is_jitter(rate_hz, nominal_hz, trace.stats.npts):
                    rate_hz = nominal_hz
                trace.stats.sampling_rate = rate_hz
                by_rate[rate_hz].append(trace)
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
        try:
            if piece.block is not None:
                data = io.BytesIO(_bytes(piece.file, *piece.block))
                found = obspy.read(data, format="MSEED", starttime=begin, endtime=end, sourcename=piece.id)
            else:
                if piece.file not in self._held:
                    self._held[piece.file] = _read(piece.file)
                found = [t.slice(begin, end).copy() for t in self._held[piece.file] if t.id == piece.id]
        except Exception as error:
            self.failed(piece.file, first_line(error))
            return []
        # A file that is read whole may hold several pieces of a channel; each comes once.
        return [t for t in found if t.id == piece.id and t.stats.npts > 0 and _within(t, piece)]


def _within(trace: obspy.Trace, piece: Piece) -> bool:
    slack_s = 1 / piece.rate_hz
    return trace.stats.starttime >= piece.start - slack_s and trace.stats.endtime <= piece.end + slack_s


def index(file: Path, failed: Callable[[Path, str], None] | None = None) -> list[Piece]:
    """What a file holds. Raises ValueError where it is empty, an exception where it is unreadable; where only a block
    of it is, `failed` is told, and the other blocks stand."""
    if file.stat().st_size == 0:
        raise ValueError("the file is empty")
    pieces = _index_miniseed(file, failed)
    if pieces is None:
        pieces = [piece_of(file, None, trace) for trace in _read(file) if trace.stats.npts > 0]
    if not pieces:
        raise ValueError("no samples in it")
    return pieces


def _index_miniseed(file: Path, failed: Callable[[Path, str], None] | None) -> list[Piece] | None:
    """By blocks of whole records; None where the file is not MiniSEED with records of one length."""
    header = _bytes(file, 0, 7)
    if not header[:6].isdigit() or header[6:] not in QUALITIES:
        return None
    record_bytes = get_record_information(str(file))["record_length"]
    pieces: list[Piece] = []
    block_bytes = max(BLOCK_BYTES // record_bytes, 1) * record_bytes
    size = file.stat().st_size
    for offset in range(0, size, block_bytes):
        data = _bytes(file, offset, min(block_bytes, size - offset))
        records = np.frombuffer(data[: len(data) // record_bytes * record_bytes], np.uint8).reshape(-1, record_bytes)
        if not np.isin(records[:, 6], list(b"".join(QUALITIES))).all():
            return None
        if not len(records):
            continue
        try:
            traces = _decoded(records.tobytes())
        except Exception as error:
            if failed is None:
                raise
            failed(file, first_line(error))
            continue
        pieces += without_jitter([piece_of(file, (offset, records.size), t) for t in traces if t.stats.npts > 0])
    return pieces


def _decoded(records: bytes) -> obspy.Stream:
    """With samples, which tell what is dead; headers alone where one channel cannot be decoded."""
    try:
        return obspy.read(io.BytesIO(records), format="MSEED")
    except Exception:
        return obspy.read(io.BytesIO(records), format="MSEED", headonly=True)


def _read(file: Path) -> obspy.Stream:
    return obspy.read(glob.escape(str(file)))


def _bytes(file: Path, offset: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def code_of(id: str) -> str:
    return id.rpartition(".")[2]


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
    left_out: dict[str, list[str]] = defaultdict(list)
    codes = set()
    for piece in pieces:
        place, _, code = piece.id.rpartition(".")
        codes.add(code)
        reason = why_not(code, piece.rate_hz, wanted, network.components, network.rate_hz)
        if reason:
            left_out[reason].append(piece.id)
            continue
        new = Recording(place, code[:-1], [], network, failed, wanted, say, lost)
        by_place[place].setdefault(code[:-1], new).pieces.append(piece)
    for line in left_out_lines(left_out):
        say(line)
    for pattern in wanted.without_channels(codes):
        lost(f"--channels {pattern}: there is no such channel")
    return [one for _, families in sorted(by_place.items()) for one in pick_one_at_a_time(list(families.values()), say)]


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


def first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
