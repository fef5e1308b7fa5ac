"""Random choices keyed by (seed, epoch, position), so that they do not depend on workers or on history."""

# B window of a batch, N trace

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from trainables.data.windows import WindowStore

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
GOLDEN, SILVER = (5**0.5 - 1) / 2, 2**0.5 - 1
"""Multiples of an irrational number are spread evenly over [0, 1)."""
NUM_STREAMS = 8
"""Independent numbers at each position; which is used for what is written in `choose_windows` and batches."""
_SEEDS = 2**32
"""A seed is smaller."""


class Purpose(IntEnum):
    """What has random numbers of its own, so that one that is switched on leaves the others as they are."""

    AUGMENTATION = 1
    RATE = 2
    SECOND_EVENT = 3
    NOISE = 4
    GAP = 5


class Windows(NamedTuple):
    """Which samples make up each window: `start` up to `start` plus the store's window length.

    `start` may be negative. What lies outside `low` up to `high` is zero.
    """

    trace_B: np.ndarray
    start_B: np.ndarray
    low_B: np.ndarray
    high_B: np.ndarray


def uniform(seed: int, epoch: int, position_B: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1), shape (B, NUM_STREAMS), each a function of seed, epoch, position and stream alone.

    SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195) used as a counter-based generator.
    """
    counter = position_B.astype(np.uint64)[:, None] * np.uint64(NUM_STREAMS) + np.arange(NUM_STREAMS, dtype=np.uint64)
    bits = _mix(_key(seed, epoch) + (counter + np.uint64(1)) * _GOLDEN)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def own_uniform(purpose: Purpose, seed: int, epoch: int, position_B: np.ndarray) -> np.ndarray:
    """As `uniform`, other numbers for each purpose than those that windows are drawn by."""
    return uniform(seed + purpose * _SEEDS, epoch, position_B)


def visit_order(seed: int, epoch: int, position_B: np.ndarray, num_traces: int) -> np.ndarray:
    """The trace at each position of an epoch: one seeded permutation of all traces after the other."""
    trace_B = np.empty(len(position_B), dtype=np.int64)
    pass_B, place_B = np.divmod(position_B, num_traces)
    for number in np.unique(pass_B):
        order_N = _permutation(seed, epoch, int(number), num_traces)
        trace_B[pass_B == number] = order_N[place_B[pass_B == number]]
    return trace_B


def choose_windows(store: WindowStore, trace_B: np.ndarray, uniform_BU: np.ndarray) -> Windows:
    """A window of each trace, as SeisBench's WindowAroundSample(random) and RandomWindow(pad) choose it.

    Streams 0 (which pick) and 1 (where within its span) of `uniform_BU` are used.
    """
    first_B = store.first_span_N[trace_B]
    num_spans_B = store.first_span_N[trace_B + 1] - first_B
    span_B = first_B + (uniform_BU[:, 0] * num_spans_B).astype(np.int64)
    low_B, high_B = store.span_low_W[span_B], store.span_high_W[span_B]
    spare_B = high_B - low_B - store.windowing.samples  # negative: the span is short and lies anywhere in the window
    place_B = (uniform_BU[:, 1] * (np.abs(spare_B) + 1)).astype(np.int64)
    return Windows(trace_B, low_B + np.minimum(spare_B, 0) + place_B, low_B, high_B)


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, number: int, num_traces: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox([int(_key(seed, epoch)[0]), number]))
    return generator.permutation(num_traces)


def _key(seed: int, epoch: int) -> np.ndarray:
    words = np.array([seed, epoch], dtype=np.uint64)
    return _mix(_mix(words[:1] + _GOLDEN) ^ (words[1:] * _GOLDEN))


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
