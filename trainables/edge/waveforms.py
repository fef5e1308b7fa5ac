"""What files hold, and the samples of one instrument out of them, read in pieces."""

# X component, T time sample

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import obspy
from obspy import UTCDateTime
from obspy.io.mseed.util import get_record_information

from trainables.edge.chosen import EVERYTHING, Chosen
from trainables.edge.network import Network

BLOCK_BYTES = 2**17
"""How much of a MiniSEED file is in memory at a time."""


QUALITIES = (b"D", b"R", b"Q", b"M")
"""Seventh byte of a MiniSEED record."""


CONTEXT_S = 60
"""What is read on either side of a piece before it is resampled, so that the filter's edges are cut off."""


SAME_RATE = 1e-4
"""Sampling rates that differ by less, relatively, are one: headers round."""


TWINS = {"1": "N", "N": "1", "2": "E", "E": "2"}
"""Horizontal components that stand for each other, as SeisBench takes them."""


INSTRUMENTS = "HLGPN"
"""Second letters of channel codes, the preferred first: seismometers before accelerometers."""


class Piece(NamedTuple):
    """A stretch of one channel in one file."""

    file: Path
    block: tuple[int, int] | None
    """Offset and length in bytes within a MiniSEED file; None where the file is read whole."""
    id: str
    start: UTCDateTime
    end: UTCDateTime
    rate_hz: float


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
    _held: dict[Path, obspy.Stream] = field(default_factory=dict)
    """Files read whole whose time span is under way."""

    @property
    def components(self) -> set[str]:
        return {component_of(piece.id, self.network.components) for piece in self.pieces}

    @property
    def rates_hz(self) -> list[float]:
        return sorted({piece.rate_hz for piece in self.pieces})

    def segments(self) -> list[tuple[UTCDateTime, int]]:
        """Start and number of samples of each chosen stretch in which any component is recorded."""
        spans: list[list[UTCDateTime]] = []
        for piece in sorted(self.pieces, key=lambda piece: piece.start):
            end = piece.end + 1 / piece.rate_hz
            if spans and piece.start <= spans[-1][1] + 0.5 / piece.rate_hz:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([piece.start, end])
        stretches = [(start, round((end - start) * self.network.rate_hz)) for start, end in spans]
        return self.chosen.cut(stretches, self.network.rate_hz)

    def read(self, start: UTCDateTime, first: int, last: int) -> np.ndarray:
        """Counts (X, last - first) float32 at the network's rate, `first` samples after `start`; zero in gaps.

        Where records of one channel overlap and differ, the later one stands.
        """
        rate_hz = self.network.rate_hz
        raw_XT = np.zeros((len(self.network.components), last - first), dtype=np.float32)
        begin, end = start + first / rate_hz, start + (last - 1) / rate_hz
        for trace in self._traces(start, begin, end):
            row = self.network.components.index(component_of(trace.id, self.network.components))
            at = round((trace.stats.starttime - begin) * rate_hz)
            low, high = max(at, 0), min(at + trace.stats.npts, last - first)
            if high > low:
                raw_XT[row, low:high] = np.nan_to_num(trace.data[low - at : high - at], posinf=0, neginf=0)
        return raw_XT

    def _traces(self, start: UTCDateTime, begin: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        """What lies between, and a little more, at the network's rate, in the order of time."""
        stream = obspy.Stream()
        reached = set()
        for piece in self.pieces:
            margin_s = 2 / piece.rate_hz
            if not _same(piece.rate_hz, self.network.rate_hz):
                margin_s += CONTEXT_S
            if piece.start > end + margin_s or piece.end < begin - margin_s:
                continue
            reached.add(piece.file)
            # Begin where old and new samples coincide, so that no piece is shifted against another.
            every_s = Fraction(piece.rate_hz).limit_denominator(100).denominator
            since = start + max(0, (begin - start - margin_s) // every_s * every_s)
            stream += self._read_piece(piece, since, end + margin_s)
        self._held = {file: held for file, held in self._held.items() if file in reached}
        for trace in stream:
            trace.data = np.ma.filled(trace.data, 0).astype(np.float64)
        stream.merge(-1)
        resample(stream, self.network.rate_hz)
        return stream.sort(["starttime"])

    def _read_piece(self, piece: Piece, begin: UTCDateTime, end: UTCDateTime) -> obspy.Stream:
        try:
            if piece.block is not None:
                data = io.BytesIO(_bytes(piece.file, *piece.block))
                found = obspy.read(data, format="MSEED", starttime=begin, endtime=end, sourcename=piece.id)
            else:
                if piece.file not in self._held:
                    self._held[piece.file] = obspy.read(str(piece.file))
                found = self._held[piece.file].slice(begin, end).copy()
        except Exception as error:
            self.failed(piece.file, first_line(error))
            return obspy.Stream()
        # A file that is read whole may hold several pieces of a channel; each comes once.
        return obspy.Stream([t for t in found if t.id == piece.id and _within(t, piece)])


def _within(trace: obspy.Trace, piece: Piece) -> bool:
    slack_s = 1 / piece.rate_hz
    return trace.stats.starttime >= piece.start - slack_s and trace.stats.endtime <= piece.end + slack_s


def resample(stream: obspy.Stream, rate_hz: float) -> None:
    """To `rate_hz`, in place, as SeisBench: low pass and every n-th sample of a multiple, else by Fourier transform."""
    for trace in stream:
        ratio = trace.stats.sampling_rate / rate_hz
        if _same(ratio, 1):
            trace.stats.sampling_rate = rate_hz
        elif ratio > 1 and _same(ratio, round(ratio)):
            trace.filter("lowpass", freq=rate_hz / 2, zerophase=True)
            trace.decimate(round(ratio), no_filter=True)
            trace.stats.sampling_rate = rate_hz
        else:
            trace.resample(rate_hz, no_filter=True)


def index(file: Path) -> list[Piece]:
    """What a file holds, from its headers. Raises ValueError where it is empty, an exception where it is unreadable."""
    if file.stat().st_size == 0:
        raise ValueError("the file is empty")
    pieces = _index_miniseed(file)
    if pieces is None:
        stream = obspy.read(str(file), headonly=True)
        pieces = [_piece(file, None, trace) for trace in stream if trace.stats.npts > 0]
    if not pieces:
        raise ValueError("no samples in it")
    return pieces


def _index_miniseed(file: Path) -> list[Piece] | None:
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
        if len(records):
            stream = obspy.read(io.BytesIO(records.tobytes()), format="MSEED", headonly=True)
            pieces += [_piece(file, (offset, records.size), trace) for trace in stream if trace.stats.npts > 0]
    return pieces


def _piece(file: Path, block: tuple[int, int] | None, trace: obspy.Trace) -> Piece:
    stats = trace.stats
    return Piece(file, block, trace.id, stats.starttime, stats.endtime, float(stats.sampling_rate))


def _bytes(file: Path, offset: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def _same(a: float, b: float) -> bool:
    return abs(a / b - 1) < SAME_RATE


def component_of(channel_id: str, components: str) -> str:
    """The component of a channel among those of a network, "" where it is none; 1 and 2 stand for N and E."""
    letter = channel_id[-1:]
    return letter if letter in components else TWINS.get(letter, "") if TWINS.get(letter, "?") in components else ""


def recordings(
    pieces: Iterable[Piece], network: Network, say: Callable[[str], None], failed: Callable[[Path, str], None]
) -> list[Recording]:
    """One for each instrument; what differs from what the network expects is said.

    Of instruments at one place that record at the same time one is taken: most components, seismometers first.
    """
    by_place: dict[str, dict[str, Recording]] = defaultdict(dict)
    for piece in pieces:
        place, _, channel = piece.id.rpartition(".")
        if component_of(piece.id, network.components):
            family = channel[:-1]
            recording = by_place[place].setdefault(family, Recording(place, family, [], network, failed))
            recording.pieces.append(piece)
    taken: list[Recording] = []
    for place, families in sorted(by_place.items()):
        here: list[Recording] = []
        for recording in sorted(families.values(), key=_rank):
            rival = next((other for other in here if _overlap(recording, other)), None)
            if rival is not None:
                say(f"{place}: {rival.family} and {recording.family} record at the same time; {rival.family} is picked")
                continue
            here.append(recording)
            missing = [component for component in network.components if component not in recording.components]
            if missing:
                say(f"{place}.{recording.family}: no component {', '.join(missing)}; zeros in its place")
            others = [f"{rate:g}" for rate in recording.rates_hz if not _same(rate, network.rate_hz)]
            if others:
                say(f"{place}.{recording.family}: resampled from {', '.join(others)} to {network.rate_hz:g} Hz")
        taken += here
    return taken


def _rank(recording: Recording) -> tuple[int, int, float, str]:
    instrument = INSTRUMENTS.find(recording.family[1:2]) if len(recording.family) > 1 else -1
    order = instrument if instrument >= 0 else len(INSTRUMENTS)
    return -len(recording.components), order, -max(recording.rates_hz), recording.family


def _overlap(a: Recording, b: Recording) -> bool:
    def spans(recording: Recording) -> list[tuple[UTCDateTime, UTCDateTime]]:
        return [(start, start + n / recording.network.rate_hz) for start, n in recording.segments()]

    return any(a0 < b1 and b0 < a1 for a0, a1 in spans(a) for b0, b1 in spans(b))


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
