"""What is added to training windows that have an arrival: a second event with its labels, and noise of elsewhere.

Levels are those of events: the root mean square of the seconds after an arrival, over the components that are alive. A
component that is dead stays dead.
"""

# B window of a batch, K pick, X component (E, N, Z), T time sample, U random stream

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainables.data.batches import cut
from trainables.data.config import SAMPLING_RATE_HZ, DataConfig
from trainables.data.draws import Purpose, Windows, own_uniform
from trainables.data.onsets import Onsets, onsets_of, together
from trainables.data.quiet_stretches import QuietStretches
from trainables.data.streams import StreamStore
from trainables.data.windows import WindowStore

SIGNAL_S, LEAST_SIGNAL_S = 5.0, 1.0
"""How long from its first arrival on an event is measured, and how long at least where the window ends before."""

_SIGNAL, _LEAST_SIGNAL = round(SIGNAL_S * SAMPLING_RATE_HZ), round(LEAST_SIGNAL_S * SAMPLING_RATE_HZ)


@dataclass
class Stacked:
    """Windows and what is known of them, as more is added to them."""

    raw_BXT: np.ndarray
    """Counts, of what is around the windows too."""
    onsets: Onsets
    known_BP: np.ndarray
    """Whether anything can be said of P and of S."""


def stack(
    its: Stacked,
    store: WindowStore,
    quiet: QuietStretches | None,
    config: DataConfig,
    gain_BX: np.ndarray | None,
    keys: tuple[int, int, np.ndarray],
) -> None:
    """Scale the records, then add second events and noise to those with an arrival, in place.

    What is added has its size by the records as they were. `keys`: seed, epoch, and the windows' positions (B,).
    """
    if not (config.noise_share or config.second_event_share):
        if gain_BX is not None:
            its.raw_BXT *= gain_BX[:, :, None]
        return
    first_B = its.onsets.first_inside(len(its.raw_BXT), store.windowing.samples)
    second_BU, noise_BU = (own_uniform(purpose, *keys) for purpose in (Purpose.SECOND_EVENT, Purpose.NOISE))
    second_B = np.flatnonzero((second_BU[:, 0] < config.second_event_share) & np.isfinite(first_B))
    noisy_B = np.flatnonzero((noise_BU[:, 0] < config.noise_share) & np.isfinite(first_B))
    alive_BX, level_B, row_B = _alive(its.raw_BXT), np.zeros(len(first_B)), np.union1d(second_B, noisy_B)
    level_B[row_B] = _levels(_windows(its.raw_BXT[row_B], store), alive_BX[row_B], first_B[row_B])
    if gain_BX is not None:
        its.raw_BXT *= gain_BX[:, :, None]
    if len(second_B):
        _add_event(its, store, config, second_B, second_BU[second_B, 1:], alive_BX[second_B], level_B[second_B])
    if len(noisy_B):
        assert quiet is not None
        _add_noise(its, store, quiet, config, noisy_B, noise_BU[noisy_B, 1:], alive_BX[noisy_B], level_B[noisy_B])


def _add_noise(
    its: Stacked,
    store: WindowStore,
    quiet: QuietStretches,
    config: DataConfig,
    row_B: np.ndarray,
    uniform_BU: np.ndarray,
    alive_BX: np.ndarray,
    level_B: np.ndarray,
) -> None:
    """Add noise to each of these rows, of which living components and levels are given."""
    noise_BXT = _centred(quiet.drawn(uniform_BU[:, 1:]))
    its_BX = alive_BX & _alive(noise_BXT)
    low_db, high_db = config.noise_snr_db
    wanted_B = level_B * 10 ** (-(low_db + (high_db - low_db) * uniform_BU[:, 0]) / 20)
    _add(its.raw_BXT, row_B, noise_BXT, its_BX, wanted_B, _levels(_windows(noise_BXT, store), its_BX))


def _add_event(
    its: Stacked,
    store: WindowStore,
    config: DataConfig,
    row_B: np.ndarray,
    uniform_BU: np.ndarray,
    alive_BX: np.ndarray,
    level_B: np.ndarray,
) -> None:
    """Add a window around a pick to each of these rows, of which living components and levels are given."""
    if isinstance(store, StreamStore) and not len(store.picks_in_spans[0]):
        return
    windows = _around_picks(store, uniform_BU)
    second_BXT, onsets = _centred(cut(store, windows)), onsets_of(store, windows)
    first_B = onsets.first_inside(len(row_B), store.windowing.samples)
    its_BX = alive_BX & _alive(second_BXT)
    low, high = np.log(config.second_event_ratio)
    wanted_B = level_B * np.exp(low + (high - low) * uniform_BU[:, 2])
    _add(its.raw_BXT, row_B, second_BXT, its_BX, wanted_B, _levels(_windows(second_BXT, store), its_BX, first_B))
    its.onsets = together(its.onsets, onsets._replace(window_K=row_B[onsets.window_K]))
    its.known_BP[row_B] &= store.known[windows.trace_B]


def _around_picks(store: WindowStore, uniform_BU: np.ndarray) -> Windows:
    """By number 0 a pick, by number 1 where in its window it lies. Windows of streams stay where others are drawn."""
    if isinstance(store, StreamStore):
        pick_K, span_K = store.picks_in_spans
        pick_B = (uniform_BU[:, 0] * len(pick_K)).astype(np.int64)
        sample_B, span_B = pick_K[pick_B], span_K[pick_B]
        trace_B, low_B, high_B = store.span_trace_W[span_B], store.span_low_W[span_B], store.span_high_W[span_B]
    else:
        pick_B = (uniform_BU[:, 0] * len(store.pick_K)).astype(np.int64)
        sample_B, trace_B = (
            store.pick_K[pick_B].astype(np.int64),
            np.searchsorted(store.first_pick_N, pick_B, "right") - 1,
        )
        low_B, high_B = np.zeros_like(trace_B), store.length_N[trace_B]
    num_samples = store.windowing.samples
    start_B = np.minimum(sample_B - (uniform_BU[:, 1] * num_samples).astype(np.int64), high_B - num_samples)
    return Windows(trace_B, np.maximum(start_B, low_B), low_B, high_B)  # a trace may be shorter than its window


def _add(
    raw_BXT: np.ndarray,
    row_B: np.ndarray,
    added_BXT: np.ndarray,
    alive_BX: np.ndarray,
    wanted_B: np.ndarray,
    level_B: np.ndarray,
) -> None:
    """To these components of these rows, brought from its level to the one that is wanted."""
    factor_B = np.divide(wanted_B, level_B, out=np.zeros(len(row_B)), where=level_B > 0).astype(np.float32)
    for row, added_XT, alive_X, factor in zip(row_B, added_BXT, alive_BX, factor_B, strict=True):
        raw_BXT[row, alive_X] += factor * added_XT[alive_X]


def _alive(raw_BXT: np.ndarray) -> np.ndarray:
    """Which components (B, X) have more than one value."""
    return (raw_BXT != raw_BXT[..., :1]).any(axis=2)


def _centred(raw_BXT: np.ndarray) -> np.ndarray:
    """In place, about the mean of each component where anything is there, so that padding leaves no step."""
    for raw_XT in raw_BXT:
        there_T = raw_XT.any(axis=0)
        mean_X = raw_XT.sum(axis=1, dtype=np.float64) / max(np.count_nonzero(there_T), 1)
        raw_XT -= mean_X[:, None].astype(np.float32)
        if not there_T.all():
            raw_XT[:, ~there_T] = 0
    return raw_BXT


def _windows(raw_BXT: np.ndarray, store: WindowStore) -> np.ndarray:
    """Without what is around."""
    return raw_BXT[..., store.windowing.around : store.windowing.around + store.windowing.samples]


def _levels(raw_BXT: np.ndarray, alive_BX: np.ndarray, first_B: np.ndarray | None = None) -> np.ndarray:
    """Of windows the level (B,) of the seconds from sample `first_B` on, else of all, over the components that live, of
    each about its mean; 0 where none does."""
    level_B = np.zeros(len(raw_BXT))
    for b, (raw_XT, alive_X) in enumerate(zip(raw_BXT, alive_BX, strict=True)):
        begin, end = 0, raw_XT.shape[-1]
        if first_B is not None:
            begin = max(0, min(int(first_B[b]), end - _LEAST_SIGNAL))
            end = begin + _SIGNAL
        if alive_X.any():
            level_B[b] = np.sqrt(raw_XT[alive_X, begin:end].var(axis=1, dtype=np.float64).mean())
    return level_B
