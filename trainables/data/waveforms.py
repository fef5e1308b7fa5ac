"""Windows of waveforms without labels, from data sets and streams at once: what pretraining reads."""

# B window of a batch, P place (room for one window), Q window of an epoch, S source, W live stretch,
# X component (E, N, Z), T time sample

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.draws import GOLDEN, SILVER, uniform, visit_order
from trainables.data.sequence_batches import normalise
from trainables.data.waveform_sources import WaveformDataConfig, open_sources
from trainables.data.windows import WindowStore

logger = logging.getLogger("trainables.data")


class WaveformBatch(NamedTuple):
    """Windows of one step."""

    waveform_BXT: Tensor
    """Normalised over what is there, then padded with zeros at the end; float32, on the device."""
    num_samples_B: Tensor
    """Samples that are not padding, on the device."""
    key_B: np.ndarray
    """What random choices for each window are keyed by."""


class Places(NamedTuple):
    """Where windows begin: one window of each place is one pass over the waveforms."""

    trace_P: np.ndarray
    first_P: np.ndarray
    """The first sample at which it may begin, and of how many in a row it may be any."""
    starts_P: np.ndarray
    end_P: np.ndarray
    """Where what is alive ends, and the window with it."""


class Waveforms:
    """One split of all sources, as one row of places. Stretches shorter than `least_samples` are left out."""

    @classmethod
    def open(cls, config: WaveformDataConfig, least_samples: int, device: torch.device) -> tuple[Waveforms, Waveforms]:
        """Train and dev. Raises ValueError in one line where a source cannot be used."""
        return cls(config, "train", least_samples, device), cls(config, "dev", least_samples, device)

    def __init__(
        self, config: WaveformDataConfig, split: Literal["train", "dev"], least_samples: int, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        self.names, self.stores = zip(*open_sources(config, split), strict=True)
        places_S = [places_in(store, config.window_samples, least_samples) for store in self.stores]
        for name, store, places in zip(self.names, self.stores, places_S, strict=True):
            self._say_what_is_short(name, store, places, split, least_samples)
        self.places = Places(*map(np.concatenate, zip(*places_S, strict=True)))
        self.count_S = np.array([len(places.trace_P) for places in places_S])
        self.source_P = np.repeat(np.arange(len(places_S)), self.count_S)
        if not len(self):
            raise ValueError(
                f"{', '.join(self.names)}: no trace of split {split} has {least_samples} samples at 100 Hz, which two "
                "masked spans take"
            )
        for name, count, share in zip(self.names, self.count_S, config.shares or [], strict=False):
            if split == "train" and share and not count:
                raise ValueError(
                    f"data.shares: {name} has a share and no window of {least_samples} samples to train on"
                )

    def __len__(self) -> int:
        return len(self.places.trace_P)

    def training_batches(
        self, *, seed: int, epoch: int, num_batches: int, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> Iterator[WaveformBatch]:
        """One epoch of random windows; each rank gets its part of every joint batch.

        Every choice is a function of seed, epoch and position, so the joint batch does not depend on `world_size`.
        """
        first, last = batch_size * rank // world_size, batch_size * (rank + 1) // world_size
        place_Q = self._places_of_epoch(seed, epoch, num_batches * batch_size)
        for step in range(num_batches):
            position_B = step * batch_size + np.arange(first, last)
            yield self._batch(place_Q[position_B], uniform(seed, epoch, position_B)[:, 0], position_B)

    def fixed_batches(self, batch_size: int, rank: int = 0, world_size: int = 1) -> Iterator[WaveformBatch]:
        """One fixed window of every place, exactly once over all ranks."""
        first, last = len(self) * rank // world_size, len(self) * (rank + 1) // world_size
        for start in range(first, last, batch_size):
            place_B = np.arange(start, min(start + batch_size, last))
            yield self._batch(place_B, uniform(0, 0, place_B)[:, 0], place_B)

    def _places_of_epoch(self, seed: int, epoch: int, num_windows: int) -> np.ndarray:
        """The place at each position of an epoch (Q,): seeded permutations of all, or of each source by its share."""
        position_Q = np.arange(num_windows)
        if self.config.shares is None:
            return visit_order(seed, epoch, position_Q, len(self))
        edge_S = np.cumsum(self.config.shares) / np.sum(self.config.shares)
        # Spread evenly: shares hold in every batch.
        spread_Q = ((position_Q + 0.5) * GOLDEN + epoch * SILVER) % 1
        source_Q = np.searchsorted(edge_S, spread_Q, side="right").clip(0, len(edge_S) - 1)
        place_Q = np.empty(num_windows, dtype=np.int64)
        for source, count in enumerate(self.count_S.tolist()):
            of_source = np.flatnonzero(source_Q == source)
            if len(of_source):
                own = visit_order(seed, epoch, np.arange(len(of_source)), count)
                place_Q[of_source] = self.count_S[:source].sum() + own
        return place_Q

    def _batch(self, place_B: np.ndarray, uniform_B: np.ndarray, key_B: np.ndarray) -> WaveformBatch:
        length = self.config.window_samples
        trace_B, first_B, starts_B, end_B = (column_P[place_B] for column_P in self.places)
        begin_B = first_B + (uniform_B * starts_B).astype(np.int64)
        num_samples_B = np.minimum(length, end_B - begin_B)
        waveform_BXT = torch.zeros(len(place_B), 3, length)
        windows = zip(self.source_P[place_B], trace_B, begin_B, num_samples_B, strict=True)
        for b, (source, trace, begin, num_samples) in enumerate(windows):
            raw_XT = self.stores[source].counts(trace, begin, begin + num_samples)
            raw_1XT = torch.from_numpy(np.array(raw_XT, dtype=np.float32))[None]
            waveform_BXT[b, :, :num_samples] = normalise(raw_1XT, self.config.amp_norm_type)[0]
        return WaveformBatch(waveform_BXT.to(self.device), torch.from_numpy(num_samples_B).to(self.device), key_B)

    def _say_what_is_short(self, name: str, store: WindowStore, places: Places, split: str, least_samples: int) -> None:
        window = self.config.window_samples
        if too_short := len(store) - len(np.unique(places.trace_P)):
            logger.warning(
                "%s, split %s: %d of %d traces left out: nowhere alive for %d samples, which two masked spans take",
                name,
                split,
                too_short,
                len(store),
                least_samples,
            )
        is_short_P = places.end_P - places.first_P < window
        if padded := len(np.unique(places.trace_P[is_short_P])):
            logger.warning(
                "%s, split %s: %d of %d traces have stretches shorter than a window (data.window_samples=%d): padded "
                "with zeros",
                name,
                split,
                padded,
                len(store),
                window,
            )


def places_in(store: WindowStore, window_samples: int, least_samples: int) -> Places:
    """Of every stretch that is alive so many places as it has room for windows, each with an equal part of the samples
    at which a window may begin; of one that is shorter than a window, one place. Where only the surroundings of picks
    are stored, one of each trace."""
    if store.windowing.whole:
        trace_W = np.repeat(np.arange(len(store)), np.diff(store.first_span_N))
        low_W, high_W = store.span_low_W, store.span_high_W
    else:
        trace_W, low_W, high_W = np.arange(len(store)), np.zeros_like(store.length_N), store.length_N
    enough_W = high_W - low_W >= least_samples
    trace_W, low_W, high_W = trace_W[enough_W], low_W[enough_W], high_W[enough_W]
    count_W = np.maximum((high_W - low_W) // window_samples, 1) if store.windowing.whole else np.ones_like(low_W)
    starts_W = np.maximum(high_W - low_W - window_samples, 0) + 1
    span_P = np.repeat(np.arange(len(low_W)), count_W)
    number_P = np.arange(len(span_P)) - np.repeat(np.cumsum(count_W) - count_W, count_W)
    edge_P, next_P = (k_P * starts_W[span_P] // count_W[span_P] for k_P in (number_P, number_P + 1))
    return Places(trace_W[span_P], low_W[span_P] + edge_P, next_P - edge_P, high_W[span_P])
