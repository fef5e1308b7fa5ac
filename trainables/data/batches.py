"""Batched augmentation: windows, normalisation and soft labels of a whole batch at once.

For the same choice of windows a batch equals what SeisBench gives sample by sample with WindowAroundSample,
RandomWindow(pad), Normalize (demean, detrend, peak), ChangeDtype(float32) and ProbabilisticLabeller.
"""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample, K pick, G sample of a Gaussian, U random stream

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.amplitudes import enlargement
from trainables.data.catalog import fingerprint, load_dataset
from trainables.data.config import PHASES, DataConfig, each_of
from trainables.data.detection import detection_labels
from trainables.data.draws import Windows, choose_windows, uniform
from trainables.data.onsets import Onsets, onsets_of
from trainables.data.splits import events_of_stored
from trainables.data.windows import WindowStore

_PEAK_EPS = 1e-10
_REACH_SIGMAS = 5.5
"""A Gaussian is written this far from its pick; beyond, it is below 3e-7."""

Arrivals = list[dict[str, np.ndarray | None]]
"""For each window the true positions of its phases, `{"P": samples, "S": samples}`, only those inside; None where the
phase was not looked for."""

MASK = "mask"


class Batch(NamedTuple):
    """Windows of one training or evaluation step, float32."""

    raw_BXT: Tensor
    """Counts, padded with zeros where a trace ends."""
    normalised_BXT: Tensor
    """Demeaned, detrended and divided by its peak, per component."""
    labels_BCT: Tensor
    """Soft labels P, S, noise; they sum to 1."""
    around_BXT: Tensor | None = None
    """Counts of the windows and of as many samples on either side as were asked for."""
    detection_BT: Tensor | None = None
    """1 where an earthquake is, where that was asked for."""
    labelled_BP: Tensor | None = None
    """Whether P and S were looked for in each window; None: in all of them, or what is missing counts as noise."""


def heard(batch: Batch) -> Tensor:
    """What a teacher is given of a batch: counts, of what is around the windows too where that was asked for."""
    return batch.raw_BXT if batch.around_BXT is None else batch.around_BXT


def normalise(raw: Tensor) -> Tensor:
    """Demean, detrend and divide by the peak along the last axis, for each component of (..., T).

    Equals SeisBench's Normalize(demean_axis=-1, detrend_axis=-1, amp_norm_axis=-1, amp_norm_type="peak") of
    waveforms in counts, whatever unit they have. A dead component stays 0.
    """
    num_samples = raw.shape[-1]
    ramp_T = torch.arange(num_samples, dtype=raw.dtype, device=raw.device) - (num_samples - 1) / 2
    ramp_T = ramp_T * (12 / (num_samples * max(1, num_samples**2 - 1))) ** 0.5  # of length 1
    mean = raw.mean(dim=-1, keepdim=True)
    y = raw - mean
    y.addcmul_((y * ramp_T).sum(dim=-1, keepdim=True), ramp_T, value=-1)
    y.sub_(y.mean(dim=-1, keepdim=True))  # what rounding left of a large offset
    peak = y.abs().amax(dim=-1, keepdim=True)
    # As if a small waveform was enlarged first, without a pass over it; the mean tells the size of a dead component.
    return y.div_(peak + _PEAK_EPS / enlargement(torch.maximum(peak, mean.abs())))


class DevWindows:
    """Fixed windows of the data sets, one after the other, the same for every trial and epoch: `windows_per_trace` of
    each trace.

    They are cut and labelled again at each pass: that takes 0.03 ms a window, and keeping them would take memory
    in every trial.
    """

    def __init__(
        self,
        stores: WindowStore | Sequence[WindowStore],
        config: DataConfig,
        device: torch.device | str = "cpu",
        *,
        seed: int = 0,
    ) -> None:
        self.stores = (stores,) if isinstance(stores, WindowStore) else tuple(stores)
        self.config, self.device = config, device
        self.windows_per_trace = config.dev_windows_per_trace or default_dev_windows_per_trace(self.num_traces)
        self.windows: list[Windows] = []
        """Of each store."""
        for store in self.stores:
            trace_B = np.repeat(np.arange(len(store)), self.windows_per_trace)
            position_B = len(self) + np.arange(len(trace_B))
            self.windows.append(choose_windows(store, trace_B, uniform(seed, 0, position_B)))

    def __len__(self) -> int:
        return sum(len(windows.trace_B) for windows in self.windows)

    @property
    def num_traces(self) -> int:
        return sum(len(store) for store in self.stores)

    @property
    def fingerprint(self) -> str:
        """Which stores these are windows of."""
        return "+".join(store.fingerprint for store in self.stores)

    @property
    def is_masked(self) -> bool:
        """Whether a phase that is not labelled in a trace counts as unknown there."""
        return self.config.missing_phase == MASK

    @property
    def phases(self) -> tuple[str, ...]:
        """Those that can be scored: labelled in some window."""
        labelled_P = np.any([store.known.any(axis=0) for store in self.stores], axis=0) | (not self.is_masked)
        return tuple(phase for phase, is_there in zip(PHASES, labelled_P, strict=True) if is_there)

    @cached_property
    def events(self) -> np.ndarray:
        """The event of each window, in their order; of several data sets with the fingerprint of its own, as their
        catalogues may use the same names."""
        found = []
        for name, store, windows in zip(each_of(self.config.dataset), self.stores, self.windows, strict=True):
            event_N = events_of_stored(load_dataset(name), store.row_N, store.trace_name_N)
            if len(self.stores) > 1:
                event_N = np.char.add(f"{fingerprint(name)} ", event_N)
            found.append(event_N[windows.trace_B])
        return np.concatenate(found)

    def batches(self, batch_size: int, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Batch, Arrivals]]:
        """Every window exactly once over all ranks, in order; the last batch of a data set, and of a rank, may be
        smaller."""
        first, last = len(self) * rank // world_size, len(self) * (rank + 1) // world_size
        begin = 0
        for store, its in zip(self.stores, self.windows, strict=True):
            low, high = max(first - begin, 0), min(last - begin, len(its.trace_B))
            for start in range(low, high, batch_size):
                windows = Windows(*(column[start : min(start + batch_size, high)] for column in its))
                raw_BXT = cut(store, windows)
                batch = make_batch(store, windows, raw_BXT, self.config.sigma_samples, self.device, self.is_masked)
                yield batch, arrivals_inside(store, windows, self.is_masked)
            begin += len(its.trace_B)


def default_dev_windows_per_trace(num_traces: int) -> int:
    """20 up to 100 traces, then fewer, for about 2000 windows in total; at least 1."""
    return int(np.clip(2000 // max(1, num_traces), 1, 20))


def cut(store: WindowStore, windows: Windows, more: int = 0) -> np.ndarray:
    """Counts of the windows, (B, X, T) float32, zero outside each window's low and high.

    Where samples around them are wanted, those come on either side, zero where the stored trace has none; and `more`
    samples beyond.
    """
    num_samples, around = store.windowing.samples, store.windowing.around
    beyond = around + more
    raw_BXT = np.empty((len(windows.trace_B), 3, num_samples + 2 * beyond), dtype=np.float32)
    wider = windows._replace(start_B=windows.start_B - beyond)
    if around:
        everything_B = store.length_N[windows.trace_B]
        _fill(raw_BXT, store, wider._replace(low_B=np.zeros_like(everything_B), high_B=everything_B))
        _fill(raw_BXT[..., beyond : beyond + num_samples], store, windows)
    else:
        _fill(raw_BXT, store, wider)
    return raw_BXT


def _fill(raw_BXT: np.ndarray, store: WindowStore, windows: Windows) -> None:
    num_samples = raw_BXT.shape[-1]
    for b, (trace, start, low, high) in enumerate(zip(*(column.tolist() for column in windows), strict=True)):
        begin, end = max(start, low), min(start + num_samples, high)
        if end - begin < num_samples:
            raw_BXT[b] = 0
        if end > begin:
            raw_BXT[b, :, begin - start : end - start] = store.counts(trace, begin, end)


def make_batch(
    store: WindowStore,
    windows: Windows,
    raw_BXT: np.ndarray,
    sigma_samples: float,
    device: torch.device | str,
    is_masked: bool = False,
    onsets: Onsets | None = None,
    known_BP: np.ndarray | None = None,
) -> Batch:
    """Normalise and label on the device what was cut on the host; with which phases are unknown where that is asked.

    `onsets`, `known_BP`: arrivals, and what is known of P and S, where they are not those of the windows.
    """
    windowing = store.windowing
    onsets = onsets_of(store, windows) if onsets is None else onsets
    known_BP = store.known[windows.trace_B] if known_BP is None else known_BP
    around = torch.from_numpy(raw_BXT).to(device)
    raw = around[..., windowing.around : windowing.around + windowing.samples]
    return Batch(
        raw,
        normalise(raw),
        soft_labels(onsets, len(raw_BXT), windowing.samples, sigma_samples, device),
        around if windowing.around else None,
        detection_labels(onsets, len(raw_BXT), windowing.samples, device) if windowing.detection else None,
        torch.from_numpy(known_BP).to(device) if is_masked and not known_BP.all() else None,
    )


def soft_labels(
    onsets: Onsets, num_windows: int, num_samples: int, sigma_samples: float, device: torch.device | str
) -> Tensor:
    """Labels (B, C, T): the larger Gaussian of a phase's picks; P and S scaled to a sum of at most 1; noise the rest.

    As SeisBench's ProbabilisticLabeller(sigma) with classes in the order P, S, noise.
    """
    reach = int(np.ceil(_REACH_SIGMAS * sigma_samples))
    window_K, _, phase_K, onset_K, _ = onsets.heard_near(num_samples, reach)
    first_K = np.floor(onset_K) - reach
    # Rows are widened on both sides, so that a Gaussian at an edge needs no special case.
    margin = 2 * reach + 1
    width = num_samples + 2 * margin
    place_K1 = torch.from_numpy((2 * window_K + phase_K) * width + margin + first_K.astype(np.int64)).to(device)[
        :, None
    ]
    onset_K1 = torch.from_numpy((onset_K - first_K).astype(np.float32)).to(device)[:, None]

    sample_G = torch.arange(2 * reach + 2, device=device)
    value_KG = (sample_G - onset_K1).square_().mul_(-0.5 / sigma_samples**2).exp_()
    wide = torch.zeros(num_windows * 2 * width, device=device)
    wide.scatter_reduce_(0, (place_K1 + sample_G).flatten(), value_KG.flatten(), "amax")
    p_BT, s_BT = wide.view(-1, 2, width)[..., margin : margin + num_samples].unbind(dim=1)

    total_BT = p_BT + s_BT
    excess_BT = total_BT.clamp(min=1)
    return torch.stack([p_BT / excess_BT, s_BT / excess_BT, (1 - total_BT).clamp_(min=0)], dim=1)


def arrivals_inside(store: WindowStore, windows: Windows, is_masked: bool = False) -> Arrivals:
    """True picks of each window, in samples of the window (fractional where resampled), sorted; None for a phase that
    was not looked for, where that is asked."""
    window_K, _, phase_K, onset_K, _ = onsets_of(store, windows).heard_near(store.windowing.samples, reach=0)
    arrivals: Arrivals = [{phase: np.empty(0) for phase in PHASES} for _ in windows.trace_B]
    for code, phase in enumerate(PHASES):
        is_phase_K = phase_K == code
        for b in np.unique(window_K[is_phase_K]):
            arrivals[b][phase] = np.sort(onset_K[is_phase_K & (window_K == b)])
        for b in np.flatnonzero(~store.known[windows.trace_B, code]) if is_masked else ():
            arrivals[b][phase] = None
    return arrivals
