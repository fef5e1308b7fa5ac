"""Of several instruments at one place, which one is picked when: one at a time, chosen for every stretch of time."""

# F instrument, T interval between two times at which something begins or ends

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

INSTRUMENTS = "HLGPN"
"""Second letters of channel codes, the preferred first: seismometers before accelerometers."""

MOST_COMPONENTS = 10

Span = tuple[int, int]
"""Start and end in nanoseconds; the end is one sample after the last."""


class Instrument(NamedTuple):
    """What the choice must know of one."""

    family: str
    """Band and instrument code, the first two letters of its channels."""
    rate_hz: float
    recorded: Sequence[Span]
    """When any component is."""
    alive: Mapping[str, Sequence[Span]]
    """By component: when it is recorded and not dead."""


def one_at_a_time(instruments: Sequence[Instrument], window_ns: int, model_rate_hz: float) -> list[list[Span]]:
    """For each instrument when it is picked: every moment that any of them records belongs to one.

    First comes what lives and records for at least a window, then most components alive, of as many those with the
    vertical (on which P is seen), then what does not begin or stop for good within a window, then the instrument code,
    then the rate. A change for less than a window is none where the instrument before or after it records all the same.
    """
    edges = [_edges(one, window_ns) for one in instruments]
    spans = [span for one in instruments for its in (one.recorded, *one.alive.values()) for span in its]
    if not spans:
        return [[] for _ in instruments]
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    times = np.unique(np.clip([t for span in (*spans, *(e for its in edges for e in its)) for t in span], first, last))
    recorded_FT = np.stack([_covered(one.recorded, times) for one in instruments])
    long_FT = np.stack([_covered([s for s in one.recorded if s[1] - s[0] >= window_ns], times) for one in instruments])
    alive_FT = np.stack([np.sum([_covered(s, times) for s in one.alive.values()], axis=0) for one in instruments])
    vertical_FT = np.stack([_covered(one.alive.get("Z", ()), times) for one in instruments])
    steady_FT = np.stack([~_covered(its, times) for its in edges])
    score_FT = (long_FT & (alive_FT > 0)) * MOST_COMPONENTS + alive_FT
    score_FT = 4 * score_FT + 2 * vertical_FT + steady_FT
    score_FT = (score_FT * len(instruments) + _preference(instruments, model_rate_hz)[:, None] + 1) * recorded_FT
    owner_T = np.where(recorded_FT.any(axis=0), score_FT.argmax(axis=0), -1)
    _keep_through_short_changes(owner_T, recorded_FT & (alive_FT > 0), times, window_ns)
    return [_spans(owner_T == row, times) for row in range(len(instruments))]


def _edges(one: Instrument, window_ns: int) -> list[Span]:
    """A window on either side of where a component begins or stops for more than a window: there a step, or too few
    windows, spoil the picks."""
    ends = [t for its in one.alive.values() for span in merged(its, window_ns) for t in span]
    return [(t - window_ns, t + window_ns) for t in ends]


def _preference(instruments: Sequence[Instrument], model_rate_hz: float) -> np.ndarray:
    """The higher the better: instrument code, then a rate of at least the model's, nearest to it first."""

    def rank(row: int) -> tuple[int, float, float, str]:
        one = instruments[row]
        code = INSTRUMENTS.find(one.family[1:2]) if len(one.family) > 1 else -1
        order = code if code >= 0 else len(INSTRUMENTS)
        return order, -min(one.rate_hz, model_rate_hz), one.rate_hz, one.family

    preferred = sorted(range(len(instruments)), key=rank, reverse=True)
    return np.argsort(preferred)


def _covered(spans: Iterable[Span], times: np.ndarray) -> np.ndarray:
    covered_T = np.zeros(len(times) - 1, dtype=bool)
    for start, end in spans:
        covered_T[np.searchsorted(times, start) : np.searchsorted(times, end)] = True
    return covered_T


def _keep_through_short_changes(owner_T: np.ndarray, able_FT: np.ndarray, times: np.ndarray, window_ns: int) -> None:
    runs = np.flatnonzero(np.diff(owner_T, prepend=-2, append=-2))
    for number, (first, last) in enumerate(pairwise(runs)):
        if times[last] - times[first] >= window_ns or owner_T[first] < 0:
            continue
        before = owner_T[first - 1] if first > 0 else -1
        after = owner_T[last] if number + 2 < len(runs) else -1
        for neighbour in (before, after):
            if neighbour >= 0 and able_FT[neighbour, first:last].all():
                owner_T[first:last] = neighbour
                break


def _spans(mine_T: np.ndarray, times: np.ndarray) -> list[Span]:
    edges = np.flatnonzero(np.diff(mine_T.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [(int(times[a]), int(times[b])) for a, b in edges]


def merged(spans: Iterable[Span], slack_ns: int = 0) -> list[Span]:
    """In the order of time; those that overlap, or lie apart by at most the slack, are one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + slack_ns:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def without(spans: Iterable[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of spans outside of others, which are apart and in the order of time."""
    ends = [end for _, end in taken]
    left = []
    for start, end in spans:
        row = bisect.bisect_right(ends, start)
        while row < len(taken) and taken[row][0] < end:
            low, high = taken[row]
            if low > start:
                left.append((start, low))
            start, row = max(start, high), row + 1
        if end > start:
            left.append((start, end))
    return left
