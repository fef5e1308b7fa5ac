#!/usr/bin/env python3
"""Picks P and S onsets in continuous waveforms with an ONNX picker. Needs onnxruntime, numpy and obspy alone.

    python pick.py WAVEFORMS... [--output picks.csv] [--format csv|quakeml]

The model is the .onnx file beside this one. WAVEFORMS are files that ObsPy reads, or folders of them: any length,
gaps, several stations. Waveforms are read, annotated and searched for picks in pieces of some minutes, so that a
day needs no more memory than an hour where the format can be read in pieces (MiniSEED); a file of another format
is held while its time span is picked. Windows overlap and are stacked, and picks are found, as SeisBench's
`annotate` and `classify` do it.
"""

# B window, C class (P, S, noise), X component, T time sample

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import obspy
from obspy import UTCDateTime
from obspy.io.mseed.util import get_record_information

BATCH_WINDOWS = 16
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
DEFAULT_THRESHOLD = 0.3
NEVER_PICKED = "N"
COLUMNS = ("network", "station", "location", "phase", "time", "probability")


# ---- The model ----


@dataclass(frozen=True)
class Network:
    """A picker and what its caller must know."""

    name: str
    components: str
    classes: str
    rate_hz: float
    window_samples: int
    probabilities: Callable[[np.ndarray], np.ndarray]
    """Windows of counts (B, X, T) float32 to probabilities (B, C, T)."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """By phase; a pick is at least as probable."""
    overlap: float = 1500
    """Of successive windows: samples, or below 1 a share of the window."""
    stacking: str = "avg"
    """How overlapping windows make one curve: avg or max."""
    blinding_samples: tuple[int, int] = (0, 0)
    """What is left out at the start and at the end of each window."""

    def __post_init__(self) -> None:
        if not all(0 < threshold <= 1 for threshold in self.thresholds.values()):
            raise ValueError(f"thresholds {self.thresholds} are not allowed: above 0, at most 1")
        if not 0 <= self.overlap_samples < self.window_samples:
            raise ValueError(f"overlap {self.overlap:g} is not allowed: 0 to {self.window_samples - 1} samples")
        if self.stacking not in ("avg", "max"):
            raise ValueError(f"stacking {self.stacking} is not allowed: avg or max")
        if min(self.blinding_samples) < 0 or sum(self.blinding_samples) >= self.window_samples:
            raise ValueError(f"blinding {self.blinding_samples} leaves nothing of {self.window_samples} samples")

    @property
    def overlap_samples(self) -> int:
        return int(self.overlap * self.window_samples if self.overlap < 1 else self.overlap)

    @property
    def phases(self) -> dict[str, int]:
        """Row of each class that is picked."""
        return {phase: row for row, phase in enumerate(self.classes) if phase != NEVER_PICKED}

    def threshold(self, phase: str) -> float:
        return self.thresholds.get(phase, DEFAULT_THRESHOLD)


def load_onnx(path: Path, threads: int = 1) -> Network:
    """An ONNX picker, described by the `model.json` beside it or by its own metadata. Raises ValueError."""
    import onnxruntime

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it plans a tenth more memory, and gains nothing
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{path} is no ONNX model: {str(error).splitlines()[0]}") from None
    described = _description(path, session.get_modelmeta().custom_metadata_map)
    try:
        components, classes = described["component_order"], described["classes"]
        rate_hz, window_samples = float(described["sampling_rate_hz"]), int(described["window_samples"])
        (entry,) = [given.name for given in session.get_inputs() if list(given.shape[1:]) == [3, window_samples]]
        (exit_,) = [given.name for given in session.get_outputs() if given.shape[1] == len(classes)]
        assert len(components) == 3
        assert "P" in classes or "S" in classes
    except (KeyError, ValueError, IndexError, AssertionError):
        raise ValueError(
            f"{path} is no picker: it does not say sampling rate, component order, window and classes (P, S, noise); "
            "the models that distillation and picking leave behind do"
        ) from None

    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        return session.run([exit_], {entry: normalise(raw_BXT)})[0]

    return Network(path.name, components, classes, rate_hz, window_samples, probabilities, described["thresholds"])


def _description(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    beside = path.with_name("model.json")
    try:
        described = json.loads(beside.read_text()) if beside.is_file() else {}
        if described.get("file") == path.name:
            return {**described, "thresholds": {phase: float(p) for phase, p in described["thresholds"].items()}}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{beside}: not the description of a picker ({error!r})") from None
    thresholds = {key[0]: float(value) for key, value in metadata.items() if key in ("P_threshold", "S_threshold")}
    return {**metadata, "thresholds": thresholds}


def normalise(raw_BXT: np.ndarray) -> np.ndarray:
    """Subtract the mean and the linear trend, divide by the peak, along the last axis; float32."""
    num_samples = raw_BXT.shape[-1]
    ramp_T = np.arange(num_samples) - (num_samples - 1) / 2
    ramp_T *= (12 / (num_samples * max(1, num_samples**2 - 1))) ** 0.5  # of length 1
    y_BXT = raw_BXT - raw_BXT.mean(axis=-1, keepdims=True, dtype=np.float64)
    y_BXT -= (y_BXT @ ramp_T)[..., None] * ramp_T
    y_BXT /= np.abs(y_BXT).max(axis=-1, keepdims=True) + 1e-10
    return y_BXT.astype(np.float32)


# ---- From waveforms to picks ----


class Pick(NamedTuple):
    """One onset; fields in the order of `COLUMNS`."""

    network: str
    station: str
    location: str
    phase: str
    time: UTCDateTime
    probability: float


def annotate(
    read: Callable[[int, int], np.ndarray], num_samples: int, network: Network
) -> Iterator[tuple[int, np.ndarray]]:
    """Probability curves in pieces: the number of the first sample, and values (C, T); NaN where no window says any.

    `read(first, last)` gives counts (X, last - first). Windows begin every `window - overlap` samples and one ends
    with the last sample, as in SeisBench. Nothing at all comes of less than a window.
    """
    window = network.window_samples
    offsets = list(range(0, num_samples - window + 1, window - network.overlap_samples))
    if offsets and offsets[-1] + window < num_samples:
        offsets.append(num_samples - window)
    before, after = network.blinding_samples
    combine = np.add if network.stacking == "avg" else np.fmax
    stacked_CT = np.empty((len(network.classes), 0), dtype=np.float32)
    count_T = np.empty(0, dtype=np.int32)
    for number in range(0, len(offsets), BATCH_WINDOWS):
        batch = offsets[number : number + BATCH_WINDOWS]
        begin, end = batch[0], batch[-1] + window
        raw_XT = read(begin, end)
        values_BCT = network.probabilities(np.stack([raw_XT[:, o - begin : o - begin + window] for o in batch]))
        more = end - begin - stacked_CT.shape[1]
        stacked_CT = np.pad(stacked_CT, ((0, 0), (0, more)))
        count_T = np.pad(count_T, (0, more))
        for offset, values_CT in zip(batch, values_BCT, strict=True):
            told = slice(offset - begin + before, offset - begin + window - after)
            stacked_CT[:, told] = combine(stacked_CT[:, told], values_CT[:, before : window - after])
            count_T[told] += 1
        # What the next window does not reach is done.
        done = (offsets[number + BATCH_WINDOWS] if number + BATCH_WINDOWS < len(offsets) else end) - begin
        divisor_T = np.where(count_T[:done] > 0, count_T[:done] if network.stacking == "avg" else 1, np.nan)
        yield begin, stacked_CT[:, :done] / divisor_T.astype(np.float32)
        stacked_CT, count_T = stacked_CT[:, done:], count_T[done:]


class Peaks:
    """Finds in a curve, handed over in pieces, each stretch of at least half the threshold that reaches the threshold.

    Its highest sample is the pick, as in SeisBench's `picks_from_annotations`.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._open: tuple[int, np.float32] | None = None

    def feed(self, first: int, curve_T: np.ndarray) -> list[tuple[int, np.float32]]:
        """Picks that have ended in this piece, as sample and probability."""
        above_T = (curve_T >= self.threshold / 2).astype(np.int8)  # NaN is not
        stretches = np.flatnonzero(np.diff(above_T, prepend=0, append=0)).reshape(-1, 2)
        found = [] if len(stretches) and stretches[0][0] == 0 else self.close()
        for start, end in stretches.tolist():
            highest = start + int(np.argmax(curve_T[start:end]))
            peak = (first + highest, curve_T[highest])
            if self._open is not None and self._open[1] >= peak[1]:
                peak = self._open
            self._open = peak
            if end < len(curve_T):
                found += self.close()
        return found

    def close(self) -> list[tuple[int, np.float32]]:
        """The curve goes no further: the pick that was under way, if any."""
        peak, self._open = self._open, None
        return [peak] if peak is not None and peak[1] >= self.threshold else []


def picks_of(
    recording: Recording, network: Network, progress: Callable[[float], None] = lambda share: None
) -> list[Pick]:
    """All picks of one instrument, in the order of time."""
    picks: list[Pick] = []
    segments = recording.segments()
    total = sum(num_samples for _, num_samples in segments)
    before = 0
    for start, num_samples in segments:
        peaks = {phase: Peaks(network.threshold(phase)) for phase in network.phases}
        found: dict[str, list[tuple[int, np.float32]]] = defaultdict(list)
        for first, curves_CT in annotate(lambda a, b, t=start: recording.read(t, a, b), num_samples, network):  # type: ignore[misc]
            for phase, row in network.phases.items():
                found[phase] += peaks[phase].feed(first, curves_CT[row])
            progress((before + first + curves_CT.shape[1]) / total)
        before += num_samples
        station = recording.id.split(".")
        for phase, its in found.items():
            for sample, probability in its + peaks[phase].close():
                onset = start + sample / network.rate_hz
                picks.append(Pick(station[0], station[1], station[2], phase, onset, float(probability)))
    return sorted(picks, key=lambda pick: pick.time)


# ---- Reading in pieces ----


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
    _held: dict[Path, obspy.Stream] = field(default_factory=dict)
    """Files read whole whose time span is under way."""

    @property
    def components(self) -> set[str]:
        return {component_of(piece.id, self.network.components) for piece in self.pieces}

    @property
    def rates_hz(self) -> list[float]:
        return sorted({piece.rate_hz for piece in self.pieces})

    def segments(self) -> list[tuple[UTCDateTime, int]]:
        """Start and number of samples of each stretch in which any component is recorded."""
        spans: list[list[UTCDateTime]] = []
        for piece in sorted(self.pieces, key=lambda piece: piece.start):
            end = piece.end + 1 / piece.rate_hz
            if spans and piece.start <= spans[-1][1] + 0.5 / piece.rate_hz:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([piece.start, end])
        return [(start, round((end - start) * self.network.rate_hz)) for start, end in spans]

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
            self.failed(piece.file, _first_line(error))
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


# ---- The whole job ----


def run(network: Network, waveforms: Sequence[str | Path], output: Path | None = None, format: str = "csv") -> int:
    """Pick everything and write it, by default to standard output; returns the exit code.

    A file that cannot be read is named on standard error, the others go on, and the code is 1.
    """
    files = find_files(waveforms)
    if output is not None and not output.absolute().parent.is_dir():
        raise ValueError(f"{output}: no such folder")
    began_s = time.monotonic()
    bad: dict[Path, str] = {}

    def failed(file: Path, reason: str) -> None:
        if bad.setdefault(file, reason) is reason:
            _say(f"{file}: cannot be read ({reason})")

    pieces: list[Piece] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers complain of headers that do not matter here
        for file in files:
            try:
                pieces += index(file)
            except Exception as error:
                failed(file, _first_line(error))
        picks: list[Pick] = []
        recorded_s = 0.0
        for recording in recordings(pieces, network, _say, failed):
            found = picks_of(recording, network, _progress(recording))
            picks += found
            lengths = [num_samples for _, num_samples in recording.segments()]
            seconds = sum(lengths) / network.rate_hz
            recorded_s += seconds
            _say(f"{recording.id}.{recording.family}: {_duration(seconds)}, {_counted(found, network)}")
            short = sum(length < network.window_samples for length in lengths)
            if short:
                _say(f"{recording.id}: {short} of {len(lengths)} stretches shorter than one window are not picked")
    if pieces and not recorded_s:
        _say(f"nothing to pick: no channel of components {', '.join(network.components)}")
    write(picks, format, output, network)
    elapsed_s = time.monotonic() - began_s
    _say(f"{len(picks)} picks in {elapsed_s:.1f} s, {recorded_s / max(elapsed_s, 1e-9):.0f} times real time")
    return 1 if bad or not recorded_s else 0


def write(picks: Sequence[Pick], format: str, output: Path | None, network: Network) -> None:
    """CSV or QuakeML, into a file (complete or not at all) or to standard output."""
    text = io.StringIO()
    (_write_csv if format == "csv" else _write_quakeml)(picks, text, network)
    if output is None:
        sys.stdout.write(text.getvalue())
        return
    arriving = output.with_name(f".{output.name}.arriving")
    arriving.write_text(text.getvalue())
    arriving.replace(output)


def _write_csv(picks: Sequence[Pick], text: TextIO, network: Network) -> None:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*pick[:5], f"{pick.probability:.4f}") for pick in picks)


def _write_quakeml(picks: Sequence[Pick], text: TextIO, network: Network) -> None:
    """All picks in one event without origin: they are not associated, and QuakeML holds picks in events alone."""
    from obspy.core.event import Catalog, Comment, Event, ResourceIdentifier, WaveformStreamID
    from obspy.core.event import Pick as EventPick

    event = Event(comments=[Comment(text=f"picks of {network.name}, not associated with earthquakes")])
    for number, pick in enumerate(picks):
        event.picks.append(
            EventPick(
                resource_id=ResourceIdentifier(f"smi:local/pick/{pick.station}/{pick.phase}/{number}"),
                time=pick.time,
                phase_hint=pick.phase,
                waveform_id=WaveformStreamID(pick.network, pick.station, pick.location),
                evaluation_mode="automatic",
                comments=[Comment(text=f"probability {pick.probability:.4f}")],
            )
        )
    data = io.BytesIO()
    Catalog([event]).write(data, format="QUAKEML")
    text.write(data.getvalue().decode())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _progress(recording: Recording) -> Callable[[float], None]:
    """Percent done, on one line of a terminal; silent elsewhere."""
    if not sys.stderr.isatty():
        return lambda share: None

    def show(share: float) -> None:
        end = "\r" if share < 1 else "\r\033[K"
        print(f"{recording.id}.{recording.family}: {share:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def _counted(picks: Sequence[Pick], network: Network) -> str:
    return ", ".join(f"{sum(pick.phase == phase for pick in picks)} {phase}" for phase in network.phases)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("waveforms", nargs="+", help="files that ObsPy reads, or folders of them")
    parser.add_argument("--model", type=Path, help="ONNX file; default the one beside this program")
    parser.add_argument("--output", type=Path, help="default: standard output")
    parser.add_argument("--format", choices=("csv", "quakeml"), default="csv")
    parser.add_argument("--p-threshold", type=float, help="default: the model's")
    parser.add_argument("--s-threshold", type=float, help="default: the model's")
    parser.add_argument("--overlap", type=float, help="of windows, in samples or below 1 as a share; default 1500")
    parser.add_argument("--stacking", choices=("avg", "max"), help="of overlapping windows; default avg")
    parser.add_argument("--blinding", type=int, nargs=2, help="samples left out at either end of a window; default 0 0")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    try:
        beside = sorted(Path(__file__).resolve().parent.glob("*.onnx"))
        if options.model is None and len(beside) != 1:
            raise ValueError(f"{len(beside)} .onnx files beside this program; name one with --model")
        network = with_options(
            load_onnx(options.model or beside[0], options.threads),
            p_threshold=options.p_threshold,
            s_threshold=options.s_threshold,
            overlap=options.overlap,
            stacking=options.stacking,
            blinding=options.blinding,
        )
        return run(network, options.waveforms, options.output, options.format)
    except (ValueError, OSError) as error:
        _say(f"pick.py: {_first_line(error)}")
        return 2


def with_options(
    network: Network,
    *,
    p_threshold: float | None = None,
    s_threshold: float | None = None,
    overlap: float | None = None,
    stacking: str | None = None,
    blinding: Sequence[int] | None = None,
) -> Network:
    """The same network with what the user chose; None keeps its own. Raises ValueError."""
    given = {"P": p_threshold, "S": s_threshold}
    return replace(
        network,
        thresholds=network.thresholds | {phase: value for phase, value in given.items() if value is not None},
        overlap=network.overlap if overlap is None else overlap,
        stacking=network.stacking if stacking is None else stacking,
        blinding_samples=network.blinding_samples if blinding is None else (blinding[0], blinding[1]),
    )


if __name__ == "__main__":
    sys.exit(main())
