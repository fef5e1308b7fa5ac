"""Where training waveforms hold noise alone: before a P arrival, in traces without picks, and in streams where the
teacher picks nothing."""

# B window of a batch, K pick, N trace, W stretch, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from trainables.data.arrivals import possible_arrivals
from trainables.data.config import PHASES, SAMPLING_RATE_HZ, DataConfig
from trainables.data.streams import StreamStore
from trainables.data.windows import WindowStore
from trainables.edge.stretches import merged, without

LEAST_S = 5.0
"""Shorter stretches are left out."""
BEFORE_S, AFTER_S = 1.0, 60.0
"""Around a pick there is no noise: it may be late, and its coda goes on."""

NO_NOISE = (
    "data.noise_share: the training split has no noise to add. Noise is taken from before a P arrival, from traces "
    f"without picks and from data.streams, at least {LEAST_S:g} s in a row: set it to 0"
)

_LEAST, _BEFORE, _AFTER = (round(seconds * SAMPLING_RATE_HZ) for seconds in (LEAST_S, BEFORE_S, AFTER_S))


class QuietStretches(NamedTuple):
    """Of several stores of training waveforms."""

    stores: Sequence[WindowStore]
    store_W: np.ndarray
    trace_W: np.ndarray
    low_W: np.ndarray
    high_W: np.ndarray
    until_W: np.ndarray
    """How many windows of noise this one and those before hold; a shorter one counts as one."""

    @classmethod
    def of(cls, stores: Sequence[WindowStore]) -> QuietStretches:
        """Raises ValueError in one line where there is none."""
        assert all(store.split == "train" for store in stores), "noise is taken from what trains"
        found = [_in_stream(store) if isinstance(store, StreamStore) else _in_traces(store) for store in stores]
        store_W = np.repeat(np.arange(len(found)), [len(trace_W) for trace_W, _, _ in found])
        if not len(store_W):
            raise ValueError(NO_NOISE)
        trace_W, low_W, high_W = map(np.concatenate, zip(*found, strict=True))
        until_W = np.cumsum(np.maximum((high_W - low_W) // _samples_of(stores), 1))
        return cls(stores, store_W, trace_W, low_W, high_W, until_W)

    def drawn(self, uniform_BU: np.ndarray) -> np.ndarray:
        """Noise for windows with what is around them, (B, X, T) float32: by number 0 which stretch, in proportion to
        how many windows it holds, by number 1 where in it. A stretch that is too short goes on mirrored."""
        num_samples = _samples_of(self.stores)
        place_B = (uniform_BU[:, 0] * self.until_W[-1]).astype(np.int64)
        stretch_B = np.searchsorted(self.until_W, place_B, side="right")
        noise_BXT = np.empty((len(stretch_B), 3, num_samples), dtype=np.float32)
        for b, (stretch, place) in enumerate(zip(stretch_B.tolist(), uniform_BU[:, 1].tolist(), strict=True)):
            store, trace = self.stores[self.store_W[stretch]], int(self.trace_W[stretch])
            low, high = int(self.low_W[stretch]), int(self.high_W[stretch])
            length = high - low
            if length >= num_samples:
                begin = low + int(place * (length - num_samples + 1))
                noise_BXT[b] = store.counts(trace, begin, begin + num_samples)
            else:
                there_T = (int(place * length) + np.arange(num_samples)) % (2 * length)
                there_T = np.minimum(there_T, 2 * length - 1 - there_T)
                np.take(store.counts(trace, low, high), there_T, axis=1, out=noise_BXT[b], mode="clip")
        return noise_BXT


def check_noise(metadata: Sequence[pd.DataFrame], config: DataConfig) -> None:
    """There may be noise to add, as far as the metadata of the data sets tell. Raises ValueError in one line."""
    if not config.noise_share or config.learns_from_streams:
        return
    for its in metadata:
        train = its[its["split"] == "train"]
        first_s = possible_arrivals(train).min(axis=1) / train["trace_sampling_rate_hz"].astype(float)
        if (first_s.isna() | (first_s >= LEAST_S + BEFORE_S)).any():
            return
    raise ValueError(NO_NOISE)


def _samples_of(stores: Sequence[WindowStore]) -> int:
    return stores[0].windowing.samples + 2 * stores[0].windowing.around


def _in_traces(store: WindowStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Before the first arrival, where that is a P; all of a trace in which nobody found what they looked for."""
    trace_K = np.repeat(np.arange(len(store)), np.diff(store.first_pick_N))
    first_N, first_p_N = (np.full(len(store), np.inf) for _ in range(2))
    is_p_K = store.pick_phase_K == PHASES.index("P")
    np.minimum.at(first_N, trace_K, store.pick_K)
    np.minimum.at(first_p_N, trace_K[is_p_K], store.pick_K[is_p_K])
    is_noise_N = np.isinf(first_N) & store.labelled_NP.all(axis=1)
    is_before_p_N = np.isfinite(first_p_N) & (first_p_N == first_N)
    high_N = np.where(is_before_p_N, first_N - _BEFORE, np.where(is_noise_N, store.length_N, 0))
    trace_W = np.flatnonzero(high_N >= _LEAST)
    return trace_W, np.zeros_like(trace_W), high_N[trace_W].astype(np.int64)


def _in_stream(store: StreamStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between the teacher's picks, in what windows are drawn from."""
    found = []
    spans = zip(store.span_trace_W.tolist(), store.span_low_W.tolist(), store.span_high_W.tolist(), strict=True)
    for trace, low, high in spans:
        pick_K = store.pick_K[store.first_pick_N[trace] : store.first_pick_N[trace + 1]].astype(np.int64).tolist()
        taken = merged([(pick - _BEFORE, pick + _AFTER) for pick in pick_K])
        found += [(trace, first, last) for first, last in without([(low, high)], taken) if last - first >= _LEAST]
    trace_W, low_W, high_W = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return trace_W, low_W, high_W
