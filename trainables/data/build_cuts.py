"""One window of a data set that is built from picks: its samples out of the archive, and its row of metadata."""

# X component, T time sample

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import obspy
from obspy import UTCDateTime

from trainables.data.archives import Archive
from trainables.data.build_window import AMBIGUOUS, NS, WITHOUT_WAVEFORMS, BuildConfig, Window
from trainables.edge.channels import EVERY_CHANNEL, why_not
from trainables.edge.joining import clean, has_waveform, join, resample, same, settled
from trainables.edge.stretches import INSTRUMENTS
from trainables.edge.waveforms import CONTEXT_S

IN_A_GAP = "in a gap of the waveforms"
DEAD = "all channels dead"
MISSING = (WITHOUT_WAVEFORMS, IN_A_GAP, DEAD)
"""Reasons for which a pick that was asked for is not in the data set."""

NOISE_WITHOUT_WAVEFORMS = "windows of noise without waveforms"


@dataclass
class Cut:
    """What became of a window."""

    waveform_XT: np.ndarray | None = None
    """Counts, float32; zero in gaps and for components that are not recorded. None where it is left out."""
    row: dict[str, Any] = field(default_factory=dict)
    """Metadata in SeisBench's names."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Picks by reason."""
    seen: Counter[str] = field(default_factory=Counter)
    """What is worth a line at the end, counted in windows."""
    dead: list[str] = field(default_factory=list)
    """Channels with one value throughout."""


@dataclass
class _Samples:
    """One instrument on a grid of samples."""

    place: str
    family: str
    start_ns: int
    rate_hz: float
    recorded_hz: float
    waveform_XT: np.ndarray
    present_XT: np.ndarray
    is_rounded: bool

    @property
    def live(self) -> list[bool]:
        """Which components have more than one value."""
        return [
            bool(there_T.any()) and bool(np.ptp(values_T[there_T]) > 0)
            for values_T, there_T in zip(self.waveform_XT, self.present_XT, strict=True)
        ]

    def sample(self, time_ns: int) -> int:
        return round((time_ns - self.start_ns) * self.rate_hz / NS)

    def has(self, time_ns: int) -> bool:
        at = self.sample(time_ns)
        return 0 <= at < self.present_XT.shape[1] and bool(self.present_XT[:, at].any())


def cut(window: Window, archive: Archive, config: BuildConfig, events: Mapping[str, Mapping[str, Any]]) -> Cut:
    """The window at the wanted rate, of one instrument: the one with most of the picks, then most live components.

    Samples of the wanted rate are those of the archive; before and after what is recorded the window is shorter.
    """
    result = Cut()
    instruments = _instruments(_read(window, archive, config, result), window, config)
    if len({samples.place.partition(".")[0] for samples in instruments}) > 1 and "*" in window.station:
        result.left_out[AMBIGUOUS] += window.num_own
        return result
    if not instruments:
        if window.is_noise:
            result.seen[NOISE_WITHOUT_WAVEFORMS] += 1
        else:
            result.left_out[WITHOUT_WAVEFORMS] += window.num_own
        return result
    best = _trimmed(min(instruments, key=lambda samples: _rank(samples, window)))
    inside = [pick for pick in window.picks if best.has(pick.time_ns)]
    if in_a_gap := window.num_own - sum(pick.is_own for pick in inside):
        result.left_out[IN_A_GAP] += in_a_gap
    if not window.is_noise and not any(pick.is_own for pick in inside):
        return result
    live = best.live
    if not any(live):
        if not window.is_noise:
            result.left_out[DEAD] += sum(pick.is_own for pick in inside)
        result.dead += [f"{best.place}.{best.family}{c}" for c in config.components]
        return result
    _remark(best, live, config, result)
    result.waveform_XT = best.waveform_XT
    result.row = _row(window, best, live, config) | dict(events.get(window.event, {}))
    result.row |= _arrivals(window, best)
    return result


def _read(window: Window, archive: Archive, config: BuildConfig, result: Cut) -> obspy.Stream:
    """What is recorded, with some more on either side where it must be resampled."""
    stream = _read_between(window, archive, 1.0)
    if not stream and window.location != "*":
        any_location = Window(window.key, window.event, window.station, "*", window.start_ns, window.end_ns)
        if stream := _read_between(any_location, archive, 1.0):
            result.seen["windows of another location code than that of the picks, which the archive lacks"] += 1
        window = any_location
    rates_hz = {trace.stats.sampling_rate for trace in stream}
    if not all(same(rate_hz, config.rate_hz) for rate_hz in rates_hz):
        stream = _read_between(window, archive, CONTEXT_S)
    return stream


def _read_between(window: Window, archive: Archive, margin_s: float) -> obspy.Stream:
    start, end = UTCDateTime(ns=window.start_ns), UTCDateTime(ns=window.end_ns)
    stream = archive.read(window.station_id, start - margin_s, end + margin_s)
    return obspy.Stream(settled([trace for trace in stream if trace.stats.npts > 0 and has_waveform(trace)]))


def _instruments(stream: obspy.Stream, window: Window, config: BuildConfig) -> list[_Samples]:
    by_instrument: dict[tuple[str, str], list[obspy.Trace]] = defaultdict(list)
    for trace in stream:
        channel, rate_hz = trace.stats.channel, trace.stats.sampling_rate
        if not why_not(channel, rate_hz, EVERY_CHANNEL, config.components, config.rate_hz):
            by_instrument[trace.id.rpartition(".")[0], trace.stats.channel[:-1]].append(trace)
    found = [_samples(place, family, traces, window, config) for (place, family), traces in by_instrument.items()]
    return [samples for samples in found if samples is not None and samples.present_XT.any()]


def _rank(samples: _Samples, window: Window) -> tuple[Any, ...]:
    picks = sum(samples.has(pick.time_ns) for pick in window.picks if pick.is_own)
    kind = INSTRUMENTS.find(samples.family[1:2]) if len(samples.family) > 1 else -1
    order = kind if kind >= 0 else len(INSTRUMENTS)
    return -picks, -sum(samples.live), order, -samples.recorded_hz, samples.place, samples.family


def _samples(
    place: str, family: str, traces: list[obspy.Trace], window: Window, config: BuildConfig
) -> _Samples | None:
    """All traces of an instrument on the grid of its first one. Where records of a channel overlap the later stands."""
    recorded_hz = max(trace.stats.sampling_rate for trace in traces)
    stream = obspy.Stream(traces)
    if not all(same(trace.stats.sampling_rate, config.rate_hz) for trace in traces):
        stream = _resampled(traces, config.rate_hz)
    stream.sort(["starttime", "channel"])
    if not stream:
        return None
    rate_hz, first_ns = config.rate_hz, stream[0].stats.starttime.ns
    start_ns = first_ns + round(round((window.start_ns - first_ns) * rate_hz / NS) * NS / rate_hz)
    num_samples = round((window.end_ns - window.start_ns) * rate_hz / NS)
    waveform_XT = np.zeros((len(config.components), num_samples), dtype=np.float32)
    present_XT = np.zeros(waveform_XT.shape, dtype=bool)
    is_rounded = False
    for trace in stream:
        component = config.components.index(EVERY_CHANNEL.component(trace.stats.channel, config.components))
        at = round((trace.stats.starttime.ns - start_ns) * rate_hz / NS)
        low, high = max(at, 0), min(at + trace.stats.npts, num_samples)
        if low >= high:
            continue
        values_T = np.ma.filled(trace.data[low - at : high - at], 0)
        good_T = np.isfinite(values_T)
        waveform_XT[component, low:high][good_T] = values_T[good_T].astype(np.float32)
        present_XT[component, low:high] |= good_T
        is_rounded |= bool((waveform_XT[component, low:high][good_T] != values_T[good_T]).any())
    is_rounded = is_rounded and stream[0].stats.sampling_rate == recorded_hz
    return _Samples(place, family, start_ns, rate_hz, recorded_hz, waveform_XT, present_XT, is_rounded)


def _resampled(traces: list[obspy.Trace], rate_hz: float) -> obspy.Stream:
    """As SeisBench resamples, channel by channel and gap by gap."""
    by_channel: dict[tuple[str, float], list[obspy.Trace]] = defaultdict(list)
    for trace in traces:
        cleaned = trace.copy()
        clean(cleaned)
        by_channel[cleaned.id, cleaned.stats.sampling_rate].append(cleaned)
    joined = [trace for its in by_channel.values() for trace in join(its)[0]]
    for trace in joined:
        resample(trace, rate_hz)
    return obspy.Stream([trace for trace in joined if trace.stats.npts > 0])


def _trimmed(samples: _Samples) -> _Samples:
    """Without what lies before the first and after the last recorded sample."""
    there = np.flatnonzero(samples.present_XT.any(axis=0))
    first, last = int(there[0]), int(there[-1]) + 1
    samples.start_ns += round(first * NS / samples.rate_hz)
    samples.waveform_XT = samples.waveform_XT[:, first:last]
    samples.present_XT = samples.present_XT[:, first:last]
    return samples


def _gap_samples(samples: _Samples) -> int:
    """Samples at which a component is missing that is recorded elsewhere in the window."""
    recorded_X = samples.present_XT.any(axis=1)
    return int((~samples.present_XT[recorded_X]).any(axis=0).sum())


def _remark(samples: _Samples, live: list[bool], config: BuildConfig, result: Cut) -> None:
    recorded = [c for c, there_T in zip(config.components, samples.present_XT, strict=True) if there_T.any()]
    dead = [c for c, alive in zip(config.components, live, strict=True) if c in recorded and not alive]
    result.dead += [f"{samples.place}.{samples.family}{component}" for component in dead]
    for seen, what in (
        (dead, "windows with a dead channel"),
        (len(recorded) < len(config.components), f"windows without all of {config.components}, zeros in their place"),
        (_gap_samples(samples), "windows with gaps, zeros in their place"),
        (not same(samples.recorded_hz, samples.rate_hz), f"windows resampled to {samples.rate_hz:g} Hz"),
        (samples.is_rounded, "windows whose samples were rounded to float32, which holds integers up to 16,777,216"),
    ):
        if seen:
            result.seen[what] += 1


def _row(window: Window, samples: _Samples, live: list[bool], config: BuildConfig) -> dict[str, Any]:
    network, station, location = samples.place.split(".")
    return {
        "trace_name_original": window.key,
        "source_id": window.event or None,
        "station_network_code": network,
        "station_code": station,
        "station_location_code": location,
        "trace_channel": samples.family,
        "trace_start_time": str(UTCDateTime(ns=samples.start_ns)),
        "trace_sampling_rate_hz": samples.rate_hz,
        "trace_npts": samples.waveform_XT.shape[1],
        "trace_component_order": config.components,
        "trace_live_components": "".join(c for c, alive in zip(config.components, live, strict=True) if alive),
        "trace_gap_samples": _gap_samples(samples),
        "trace_category": "noise" if window.is_noise else "earthquake",
        "split": window.split,
    }


def _arrivals(window: Window, samples: _Samples) -> dict[str, Any]:
    """Arrivals in samples: the first of each phase under SeisBench's name, further ones numbered from 2."""
    found: dict[str, Any] = {}
    for kind in ("P", "S"):
        picks = [pick for pick in window.picks if pick.kind == kind and samples.has(pick.time_ns)]
        for number, pick in enumerate(picks, start=1):
            name = f"trace_{kind}_arrival_sample" if number == 1 else f"trace_{kind}_{number}_arrival_sample"
            found[name] = samples.sample(pick.time_ns)
        status = picks[0].status if picks else None
        found[f"trace_{kind.lower()}_status"] = "unlabelled" if kind in window.unlabelled else status
    return found
