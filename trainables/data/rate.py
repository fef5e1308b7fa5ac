"""Training windows played faster or slower, with their arrivals: as if the source and the ground differed a bit."""

# B window of a batch, K pick, X component (E, N, Z), T time sample, J tap of the interpolation

from __future__ import annotations

import numpy as np

from trainables.data.batches import cut
from trainables.data.config import DataConfig
from trainables.data.draws import Purpose, Windows, own_uniform
from trainables.data.onsets import Onsets, onsets_of
from trainables.data.windows import WindowStore

_REACH = 3
"""Samples on either side of a time between two of them that tell its value."""
_STEPS = 256
"""Times between two samples that are told apart."""


def recorded(
    store: WindowStore, windows: Windows, config: DataConfig, seed: int, epoch: int, position_B: np.ndarray
) -> tuple[np.ndarray, Onsets]:
    """Counts (B, X, T) and arrivals of windows, at the rate of each: a sample of the store at time t, and an arrival,
    are at `centre + (t - centre) / rate`."""
    onsets = onsets_of(store, windows)
    if config.rate_change == 0:
        return cut(store, windows), onsets
    rate_B = 1 + config.rate_change * (2 * own_uniform(Purpose.RATE, seed, epoch, position_B)[:, 0] - 1)
    num_samples, around = store.windowing.samples, store.windowing.around
    centre_B = _centres(windows, rate_B, num_samples)
    more = int(np.ceil(config.rate_change * (num_samples + around))) + _REACH
    wide_BXT = cut(store, windows, more)
    if not around:
        _hold_edges(wide_BXT, windows, more)
    time_T = np.arange(-around, num_samples + around)
    time_BT = centre_B[:, None] + (time_T - centre_B[:, None]) * rate_B[:, None]
    raw_BXT = np.stack(
        [_at(wide_XT, time_T) for wide_XT, time_T in zip(wide_BXT, time_BT + around + more, strict=True)]
    )
    centre_K, rate_K = centre_B[onsets.window_K], rate_B[onsets.window_K]
    return raw_BXT, onsets._replace(onset_K=centre_K + (onsets.onset_K - centre_K) / rate_K)


def _centres(windows: Windows, rate_B: np.ndarray, num_samples: int) -> np.ndarray:
    """What stays where it is (B,), in samples of the window: its middle, or as near as the window does not reach beyond
    what it was drawn from."""
    faster_B = np.maximum(rate_B - 1, 1e-9)
    before_B = np.maximum(windows.start_B - windows.low_B, 0)
    after_B = np.maximum(windows.high_B - windows.start_B - num_samples, 0)
    centre_B = np.maximum((num_samples - 1) / 2, num_samples - 1 - after_B / faster_B)
    return np.clip(np.minimum(centre_B, before_B / faster_B), 0, num_samples - 1)


def _hold_edges(wide_BXT: np.ndarray, windows: Windows, more: int) -> None:
    """Beyond what a window was drawn from its last values in the place of zeros, whose step would be heard in it; not
    where the window itself ends in zeros."""
    num_samples = wide_BXT.shape[-1]
    before_B = more - (windows.start_B - windows.low_B)
    end_B = windows.high_B - windows.start_B + more
    for b in np.flatnonzero((before_B <= more) & (end_B >= num_samples - more)):
        before, end = max(int(before_B[b]), 0), min(int(end_B[b]), num_samples)
        wide_BXT[b, :, :before] = wide_BXT[b, :, before : before + 1]
        wide_BXT[b, :, end:] = wide_BXT[b, :, end - 1 : end]


def _at(wide_XT: np.ndarray, time_T: np.ndarray) -> np.ndarray:
    """Values at fractional samples (X, T), by a windowed sinc."""
    whole_T, part_T = np.divmod(np.rint(time_T * _STEPS).astype(np.int64), _STEPS)
    value_XT = np.zeros((len(wide_XT), len(time_T)), dtype=np.float32)
    for j, tap in enumerate(_TAPS.T):
        value_XT += np.take(wide_XT, whole_T + (j - _REACH + 1), axis=1) * np.take(tap, part_T)
    return value_XT


def _taps() -> np.ndarray:
    """The weights of the samples around, for each time between two (step, J); they sum to 1."""
    away = np.arange(1 - _REACH, _REACH + 1) - np.arange(_STEPS)[:, None] / _STEPS
    taps = np.sinc(away) * np.cos(np.pi * away / (2 * _REACH)) ** 2
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)


_TAPS = np.ascontiguousarray(_taps())
