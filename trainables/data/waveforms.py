"""Windows of waveforms without labels, from any SeisBench data sets at once: what pretraining reads."""

# B window of a batch, N trace of a split over all data sets, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from trainables.config import Config
from trainables.data.config import DataConfig
from trainables.data.draws import uniform, visit_order
from trainables.data.sequence_batches import normalise
from trainables.data.windows import WindowStore, open_store


class WaveformDataConfig(Config):
    """Data sets in SeisBench's format and the windows cut from them, at 100 Hz, components E, N, Z."""

    dataset: str | list[str]
    """SeisBench name or folder; several as a JSON list."""

    window_samples: int = Field(4096, ge=256)
    """Length of a window; shorter traces are padded with zeros, which no mask covers."""

    amp_norm_type: Literal["std", "peak"] = "std"
    """Each component is demeaned and divided by its standard deviation, or by its peak."""

    store_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the window store on disk; float16 halves it (scaled per trace)."""

    cache_dir: Path | None = None
    """Folder of the window stores; default: a folder in SeisBench's cache."""

    @property
    def datasets(self) -> list[str]:
        """Names or folders, one or several."""
        return [self.dataset] if isinstance(self.dataset, str) else list(self.dataset)

    def of(self, dataset: str) -> DataConfig:
        """What the window store needs to know of one of them."""
        return DataConfig(dataset=dataset, store_dtype=self.store_dtype, cache_dir=self.cache_dir)


class WaveformBatch(NamedTuple):
    """Windows of one step."""

    waveform_BXT: Tensor
    """Normalised over what is there, then padded with zeros at the end; float32, on the device."""
    num_samples_B: Tensor
    """Samples that are no padding, on the device."""
    key_B: np.ndarray
    """What random choices for each window are keyed by."""


class Waveforms:
    """One split of all data sets, as one row of traces. Traces shorter than `least_samples` are left out."""

    def __init__(
        self, config: WaveformDataConfig, split: Literal["train", "dev"], least_samples: int, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        self.stores: list[WindowStore] = [open_store(config.of(dataset), split) for dataset in config.datasets]
        places = [
            (number, trace)
            for number, store in enumerate(self.stores)
            for trace in np.flatnonzero(store.length_N >= least_samples)
        ]
        if not places:
            raise ValueError(
                f"data.dataset={config.dataset}: no trace of split {split} has {least_samples} samples at 100 Hz, "
                "which two masked spans take"
            )
        self.place_N = np.array(places, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.place_N)

    def training_batches(
        self, *, seed: int, epoch: int, num_batches: int, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> Iterator[WaveformBatch]:
        """One epoch of random windows; each rank gets its part of every joint batch.

        Every choice is a function of seed, epoch and position, so the joint batch does not depend on `world_size`.
        """
        first, last = batch_size * rank // world_size, batch_size * (rank + 1) // world_size
        for step in range(num_batches):
            position_B = step * batch_size + np.arange(first, last)
            trace_B = visit_order(seed, epoch, position_B, len(self))
            yield self._batch(trace_B, uniform(seed, epoch, position_B)[:, 0], position_B)

    def fixed_batches(self, batch_size: int, rank: int = 0, world_size: int = 1) -> Iterator[WaveformBatch]:
        """One fixed window of every trace, exactly once over all ranks."""
        first, last = len(self) * rank // world_size, len(self) * (rank + 1) // world_size
        for start in range(first, last, batch_size):
            trace_B = np.arange(start, min(start + batch_size, last))
            yield self._batch(trace_B, uniform(0, 0, trace_B)[:, 0], trace_B)

    def _batch(self, trace_B: np.ndarray, uniform_B: np.ndarray, key_B: np.ndarray) -> WaveformBatch:
        length = self.config.window_samples
        waveform_BXT = torch.zeros(len(trace_B), 3, length)
        num_samples_B = np.empty(len(trace_B), dtype=np.int64)
        for b, (number, trace) in enumerate(self.place_N[trace_B].tolist()):
            store = self.stores[number]
            spare = max(0, int(store.length_N[trace]) - length)
            start = int(uniform_B[b] * (spare + 1))
            raw_XT = store.counts(trace, start, min(start + length, int(store.length_N[trace])))
            num_samples_B[b] = raw_XT.shape[1]
            raw_1XT = torch.from_numpy(np.array(raw_XT, dtype=np.float32))[None]
            waveform_BXT[b, :, : raw_XT.shape[1]] = normalise(raw_1XT, self.config.amp_norm_type)[0]
        return WaveformBatch(waveform_BXT.to(self.device), torch.from_numpy(num_samples_B).to(self.device), key_B)
