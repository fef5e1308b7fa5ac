"""A stretch of one channel in one file, as its index holds it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import obspy
from obspy import UTCDateTime

from trainables.edge.channels import flat_spans
from trainables.edge.joining import has_waveform, number_of_no_counts
from trainables.edge.stretches import Span


class Piece(NamedTuple):
    """A stretch of one channel in one file."""

    file: Path
    block: tuple[int, int] | None
    """Offset and length in bytes within a MiniSEED file; None where the file is read whole."""
    id: str
    start: UTCDateTime
    end: UTCDateTime
    rate_hz: float
    """0 where it holds no waveform: text, or no rate."""
    flat: tuple[tuple[UTCDateTime, UTCDateTime], ...] = ()
    """When no sample differs from another."""
    jitters: bool = False
    """Its records begin up to some samples beside where they should."""
    no_counts: int = 0
    """Number of samples that are not numbers."""

    def span(self) -> Span:
        """In nanoseconds, the last sample's interval included."""
        return self.start.ns, self.end.ns + round(1e9 / self.rate_hz)

    def holds(self, trace: obspy.Trace) -> bool:
        """Whether a trace out of its file is this stretch, or a part of it."""
        slack_s = 1 / self.rate_hz
        starts, ends = trace.stats.starttime >= self.start - slack_s, trace.stats.endtime <= self.end + slack_s
        return trace.id == self.id and starts and ends


def piece_of(file: Path, block: tuple[int, int] | None, trace: obspy.Trace) -> Piece:
    stats, rate_hz = trace.stats, float(trace.stats.sampling_rate)
    if not has_waveform(trace):
        return Piece(file, block, trace.id, stats.starttime, stats.starttime, 0)
    flat = [(stats.starttime + a / rate_hz, stats.starttime + b / rate_hz) for a, b in flat_spans(trace.data, rate_hz)]
    return Piece(
        file,
        block,
        trace.id,
        stats.starttime,
        stats.endtime,
        rate_hz,
        flat=tuple(flat),
        jitters="settled" in stats,
        no_counts=number_of_no_counts(trace.data),
    )
