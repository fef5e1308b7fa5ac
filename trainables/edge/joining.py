"""Records of one channel become one at the model's rate: cleaned, joined, resampled."""

# T time sample

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import obspy

from trainables.edge.channels import is_waveform

SAME_RATE = 1.01e-4
"""Sampling rates that differ by less, relatively, are one: headers round, and libmseed joins such records."""

JITTER = 0.02
"""Relative difference of rates up to which records that follow on each other may have been recorded at one."""

SLACK = 1.5
"""Samples between where a record should begin and where its header says."""

LARGEST = 1e15
"""Counts beyond it come of no digitizer, and their squares do not fit into float32."""


class Differing(NamedTuple):
    """Two records of one time that do not agree."""

    start: obspy.UTCDateTime
    length_s: float


def has_waveform(trace: obspy.Trace) -> bool:
    """Whether there is a rate, and samples that are numbers."""
    rate_hz = trace.stats.sampling_rate
    return is_waveform(trace.data) and math.isfinite(rate_hz) and rate_hz > 0


def same(a: float, b: float) -> bool:
    return abs(a / b - 1) < SAME_RATE


def settled(traces: Sequence[obspy.Trace]) -> list[obspy.Trace]:
    """Records whose headers jitter about one rate, or are wrong here and there, at the rate that their times tell.

    A record has the rate at which its samples reach to the next one. Channels whose headers agree stay as they are.
    """
    by_id: dict[str, list[obspy.Trace]] = defaultdict(list)
    for trace in traces:
        by_id[trace.id].append(trace)
    found = []
    for its in by_id.values():
        usable = [trace for trace in its if has_waveform(trace)]
        if len({trace.stats.sampling_rate for trace in usable}) > 1:
            found += [*(trace for trace in its if not has_waveform(trace)), *_settled(usable)]
        else:
            found += its
    return found


def _settled(usable: Sequence[obspy.Trace]) -> list[obspy.Trace]:
    ordered = sorted(usable, key=lambda trace: trace.stats.starttime)
    spans_s = [after.stats.starttime - trace.stats.starttime for trace, after in pairwise(ordered)]
    rate_hz = _rate_by_times(ordered, spans_s)
    fit = [abs(span_s * rate_hz - trace.stats.npts) <= SLACK for trace, span_s in zip(ordered, spans_s, strict=False)]
    seen = {trace.stats.sampling_rate for trace, fits in zip(ordered, fit, strict=False) if fits}
    fit.append(any(fit) and ordered[-1].stats.sampling_rate in seen)
    at_rate = [trace for trace, fits in zip(ordered, fit, strict=True) if fits]
    for trace in at_rate:
        clean(trace)
        trace.stats.sampling_rate = rate_hz
    joined, _ = join(at_rate)
    for trace in joined:
        trace.stats.settled = True
    return [*(trace for trace, fits in zip(ordered, fit, strict=True) if not fits), *joined]


def _rate_by_times(ordered: Sequence[obspy.Trace], spans_s: Sequence[float]) -> float:
    """What the times of records that follow on each other tell; the rate at half of all samples where none do."""
    by_rate = sorted((trace.stats.sampling_rate, trace.stats.npts) for trace in ordered)
    passed = np.cumsum([num_samples for _, num_samples in by_rate])
    middle_hz = by_rate[int(np.searchsorted(passed, passed[-1] / 2))][0]
    following = [
        (trace.stats.npts, span_s)
        for trace, span_s in zip(ordered, spans_s, strict=False)
        if abs(span_s * middle_hz - trace.stats.npts) <= JITTER * trace.stats.npts
    ]
    if not following:
        return middle_hz
    told_hz = sum(num_samples for num_samples, _ in following) / sum(span_s for _, span_s in following)
    return min([round(told_hz, 2), *(rate_hz for rate_hz, _ in by_rate)], key=lambda rate_hz: abs(rate_hz - told_hz))


def clean(trace: obspy.Trace) -> None:
    """Float64 in place; NaN where samples are masked, no numbers, or beyond all counts. Raises ValueError of text."""
    if not is_waveform(trace.data):
        raise ValueError(f"its samples are not numbers, but of type {trace.data.dtype}")
    data_T = np.ma.filled(np.ma.asarray(trace.data).astype(np.float64), np.nan)
    data_T[~is_count(data_T)] = np.nan
    trace.data = data_T


def is_count(data_T: np.ndarray) -> np.ndarray:
    largest = min(LARGEST, float(np.finfo(data_T.dtype).max)) if data_T.dtype.kind == "f" else LARGEST
    return (data_T >= -largest) & (data_T <= largest)  # the least integer has no absolute value


def without_gaps(data: np.ndarray) -> np.ndarray:
    """Zeros for NaN, infinite samples and those beyond all counts."""
    good = is_count(data)
    return data if good.all() else np.where(good, data, 0).astype(data.dtype)


def number_of_no_counts(data: np.ndarray) -> int:
    """Samples that are masked, no numbers, or beyond all counts."""
    return int(np.ma.count_masked(data)) + int(len(data) - np.ma.filled(is_count(data), True).sum())


def join(traces: Sequence[obspy.Trace]) -> tuple[list[obspy.Trace], list[Differing]]:
    """Clean records of one channel and rate as few long ones with zeros for NaN; and where two of one time differ.

    Records are continuous up to one missing sample, so that a clock that jitters tears nothing. Of two that differ the
    later one stands.
    """
    runs: list[list[obspy.Trace]] = []
    reached = None
    for trace in sorted(traces, key=lambda trace: trace.stats.starttime):
        if reached is None or trace.stats.starttime - reached > (1 + SLACK) * trace.stats.delta:
            runs.append([])
        runs[-1].append(trace)
        reached = trace.stats.endtime if len(runs[-1]) == 1 else max(reached, trace.stats.endtime)
    differing: list[Differing] = []
    return [_one(run, differing) for run in runs], differing


def _one(run: Sequence[obspy.Trace], differing: list[Differing]) -> obspy.Trace:
    start, rate_hz = run[0].stats.starttime, run[0].stats.sampling_rate
    places = [round((trace.stats.starttime - start) * rate_hz) for trace in run]
    data_T = np.full(max(at + len(trace.data) for at, trace in zip(places, run, strict=True)), np.nan)
    covered_T = np.zeros(len(data_T), dtype=bool)
    for at, trace in zip(places, run, strict=True):
        there_T, told_T = data_T[at : at + len(trace.data)], ~np.isnan(trace.data)
        other_T = told_T & ~np.isnan(there_T) & (there_T != trace.data)
        if other_T.sum() > 1:  # one sample: a rate that is not quite what the header says
            differing.append(
                Differing(trace.stats.starttime + int(other_T.argmax()) / rate_hz, other_T.sum() / rate_hz)
            )
        there_T[told_T] = trace.data[told_T]
        covered_T[at : at + len(trace.data)] = True
    data_T[np.isnan(data_T)] = 0
    data_T[~covered_T] = np.interp(np.flatnonzero(~covered_T), np.flatnonzero(covered_T), data_T[covered_T])
    run[0].data = data_T
    return run[0]


def at_rate(trace: obspy.Trace, rate_hz: float) -> None:
    """To a rate that is nearly its own, in place: the nearest sample, so that a long record keeps its length and leaves
    no gap before the next one."""
    ratio = trace.stats.sampling_rate / rate_hz
    num_samples = max(1, round(len(trace.data) / ratio))
    if num_samples != len(trace.data):
        nearest_T = np.rint(np.arange(num_samples) * ratio).astype(np.int64)
        trace.data = trace.data[nearest_T.clip(0, len(trace.data) - 1)]
    trace.stats.sampling_rate = rate_hz


def resample(trace: obspy.Trace, rate_hz: float) -> None:
    """To `rate_hz`, in place, as SeisBench: low pass and every n-th sample of a multiple, else by Fourier transform."""
    ratio = trace.stats.sampling_rate / rate_hz
    if same(ratio, 1):
        at_rate(trace, rate_hz)
    elif ratio > 1 and same(ratio, round(ratio)):
        trace.filter("lowpass", freq=rate_hz / 2, zerophase=True)
        trace.decimate(round(ratio), no_filter=True)
        trace.stats.sampling_rate = rate_hz
    else:
        trace.resample(rate_hz, no_filter=True)
