"""From waveforms to picks: windows overlap, are stacked, and picks are found, as SeisBench's `classify` does it."""

# B window, C class (P, S, noise), X component, T time sample

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from obspy import UTCDateTime

from trainables.edge.files import first_line
from trainables.edge.mean import mean_curves
from trainables.edge.network import Network
from trainables.edge.waveforms import Part, Recording

BATCH_WINDOWS = 16
NOT_YET = -1


class Pick(NamedTuple):
    """One onset."""

    network: str
    station: str
    location: str
    phase: str
    time: UTCDateTime
    probability: float
    start_time: UTCDateTime
    """First time at which the curve reaches the threshold."""
    end_time: UTCDateTime
    """Last time at which it has not fallen below half the threshold."""
    channel: str
    """The vertical of P, the first horizontal of S; the instrument's two letters where that is not recorded."""

    @property
    def trace_id(self) -> str:
        """NET.STA.LOC, as SeisBench names it."""
        return f"{self.network}.{self.station}.{self.location}"


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


def annotate_mean(
    read: Callable[[int, int], np.ndarray], num_samples: int, network: Network
) -> Iterator[tuple[int, np.ndarray]]:
    """As `annotate`, of a network with members: curves (C, T) of the phases that they pick."""

    def curves(member: Network) -> Iterator[np.ndarray]:
        components = [network.components.index(component) for component in member.components]
        classes = [member.phases[phase] for phase in network.phases]
        for _, curves_CT in annotate(lambda first, last: read(first, last)[components], num_samples, member):
            yield curves_CT[classes]

    if num_samples >= network.window_samples:
        yield from mean_curves([curves(member) for member in network.members], num_samples)


class Peak(NamedTuple):
    """A pick by its samples."""

    sample: int
    probability: np.float32
    start: int
    """First sample that reaches the threshold."""
    end: int
    """Last sample of at least half the threshold."""


class Peaks:
    """Finds in a curve, handed over in pieces, each stretch of at least half the threshold that reaches the threshold.

    Its highest sample is the pick, as in SeisBench's `picks_from_annotations`.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._open: Peak | None = None

    def feed(self, first: int, curve_T: np.ndarray) -> list[Peak]:
        """Picks that have ended in this piece."""
        above_T = (curve_T >= self.threshold / 2).astype(np.int8)  # NaN is not
        stretches = np.flatnonzero(np.diff(above_T, prepend=0, append=0)).reshape(-1, 2)
        found = [] if len(stretches) and stretches[0][0] == 0 else self.close()
        for start, end in stretches.tolist():
            self._open = _joined(self._open, self._peak(first + start, curve_T[start:end]))
            if end < len(curve_T):
                found += self.close()
        return found

    def close(self) -> list[Peak]:
        """The curve goes no further: the pick that was under way, if any."""
        peak, self._open = self._open, None
        return [peak] if peak is not None and peak.probability >= self.threshold else []

    def _peak(self, first: int, curve_T: np.ndarray) -> Peak:
        highest, reached = int(np.argmax(curve_T)), np.flatnonzero(curve_T >= self.threshold)
        start = first + int(reached[0]) if len(reached) else NOT_YET
        return Peak(first + highest, curve_T[highest], start, first + len(curve_T) - 1)


def _joined(before: Peak | None, after: Peak) -> Peak:
    """One stretch that came in two pieces; of two samples as high the first one is the pick."""
    if before is None:
        return after
    highest = before if before.probability >= after.probability else after
    return highest._replace(start=after.start if before.start == NOT_YET else before.start, end=after.end)


def picks_of(
    recording: Recording, network: Network, progress: Callable[[float], None] = lambda share: None
) -> list[Pick]:
    """All picks of one instrument, in the order of time. A part of it that cannot be picked costs itself alone."""
    picks: list[Pick] = []
    parts = recording.parts()
    total = sum(part.read[1] - part.read[0] for part in parts)
    channels = {phase: _channel(recording, phase) for phase in network.phases}
    net, station, location = recording.id.split(".")
    before = 0
    for part in parts:
        done = before

        def shown(samples: int, done: int = done) -> None:
            progress((done + samples) / total)

        try:
            for phase, peak in _peaks(recording, part, network, shown):
                time, since, until = (part.start + n / network.rate_hz for n in (peak.sample, peak.start, peak.end))
                told = phase, time, float(peak.probability), since, until, channels[phase]
                picks.append(Pick(net, station, location, *told))
        except Exception as error:  # of the model, or a fault of ours: the other parts are worth writing
            since = part.start + part.own[0] / network.rate_hz
            recording.lost(f"{recording.name}: cannot be picked since {since} ({first_line(error)})")
        before += part.read[1] - part.read[0]
    for line in recording.remarks():
        recording.say(line)
    return sorted(picks, key=lambda pick: pick.time)


def _peaks(
    recording: Recording, part: Part, network: Network, progress: Callable[[int], None]
) -> Iterator[tuple[str, Peak]]:
    """Phase and peak, in samples after the part's start, of the picks that are its own."""
    since, until = part.read
    peaks = {phase: Peaks(network.threshold(phase)) for phase in network.phases}
    found: dict[str, list[Peak]] = defaultdict(list)
    curves_of = annotate_mean if network.members else annotate
    for first, curves_CT in curves_of(
        lambda a, b: recording.read(part.start, since + a, since + b), until - since, network
    ):
        for phase, row in network.phases.items():
            found[phase] += peaks[phase].feed(since + first, curves_CT[row])
        progress(first + curves_CT.shape[1])
    for phase, its in found.items():
        for peak in its + peaks[phase].close():
            if part.own[0] <= peak.sample < part.own[1]:
                yield phase, peak


def _channel(recording: Recording, phase: str) -> str:
    """Curves are of all components; a catalogue wants one channel, that on which an analyst would pick the phase."""
    by_component = {
        recording.component(id): id for id in sorted({piece.id for piece in recording.pieces}, reverse=True)
    }
    for wanted in "Z" if phase == "P" else "NE":
        if wanted in by_component:
            return by_component[wanted].rpartition(".")[2]
    return recording.family
