"""Batches of a sequence: training order keyed by (seed, epoch, position), and every dev window exactly once."""

# B window of a batch, N window of a split, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.amplitudes import enlarged
from trainables.data.catalog import fingerprint
from trainables.data.draws import visit_order
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.sequence import open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import SPLITS, leaked_events, split_sequence

_EPS = 1e-10


class SequenceBatch(NamedTuple):
    """Windows of one step."""

    waveform_BXT: Tensor
    """Normalised, float32, on the device. Padding to what a model needs comes after this."""
    label_B: Tensor
    """Classes, int64."""
    window_B: Tensor
    """Position of each window in its split, on the host: a key for what is cached by window."""


@dataclass(frozen=True)
class SequenceWindows:
    """The windows of one split; the waveforms stay in the file until they are asked for."""

    waveforms_NXT: np.ndarray
    """Of the whole sequence, memory-mapped."""
    trace_N: np.ndarray
    """Row of each window in `waveforms_NXT`."""
    label_N: np.ndarray
    event_N: np.ndarray
    """`source_id` of each window."""
    amp_norm_type: Literal["std", "peak"]
    device: torch.device

    def __len__(self) -> int:
        return len(self.trace_N)

    @property
    def num_samples(self) -> int:
        return self.waveforms_NXT.shape[2]

    def raw(self, window_B: np.ndarray) -> np.ndarray:
        """Counts (B, X, T) of some windows, copied out of the file."""
        return np.asarray(self.waveforms_NXT[self.trace_N[window_B]])

    def batch(self, window_B: np.ndarray) -> SequenceBatch:
        """Some windows by their position in the split."""
        raw_BXT = torch.from_numpy(self.raw(window_B)).to(self.device)
        label_B = torch.from_numpy(self.label_N[window_B]).to(self.device)
        return SequenceBatch(normalise(raw_BXT, self.amp_norm_type), label_B, torch.from_numpy(window_B))

    def training_windows(
        self, *, seed: int, epoch: int, num_batches: int, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> Iterator[np.ndarray]:
        """Windows of an epoch's batches, in seeded permutations one after the other; each rank gets its part.

        Which window is where is a function of seed, epoch and position alone, so the joint batch does not depend on
        `world_size`. `steps_per_pass` is the number of batches that visit every window.
        """
        first, last = batch_size * rank // world_size, batch_size * (rank + 1) // world_size
        for step in range(num_batches):
            yield visit_order(seed, epoch, step * batch_size + np.arange(first, last), len(self))

    def steps_per_pass(self, batch_size: int) -> int:
        """Steps after which every window was visited; the last one is filled from the next permutation."""
        return -(-len(self) // batch_size)

    def windows(self, batch_size: int, rank: int = 0, world_size: int = 1) -> Iterator[np.ndarray]:
        """Every window exactly once over all ranks, in order; the last batch of a rank may be smaller."""
        first, last = len(self) * rank // world_size, len(self) * (rank + 1) // world_size
        for start in range(first, last, batch_size):
            yield np.arange(start, min(start + batch_size, last))


@dataclass(frozen=True)
class SequenceData:
    """What a training sees: train and dev. The test split is opened by `open_split`, with an opening of it."""

    train: SequenceWindows
    dev: SequenceWindows

    @classmethod
    def open(cls, config: SequenceDataConfig, device: torch.device) -> SequenceData:
        windows = _open_all(config, device)
        return cls(windows["train"], windows["dev"])


def which_test_split(config: SequenceDataConfig) -> str:
    """Which test split this is, in words: configurations that agree in it are measured on the same test traces."""
    classes = f"{config.num_classes} classes, {config.protocol}, {config.split_method}, seed {config.split_seed}"
    moved = f", few-shot {config.few_shot_fraction:g}" if config.protocol == "published" else ""
    return f"data {fingerprint(config.dataset)}, {classes}{moved}"


def open_split(
    config: SequenceDataConfig, split: str, device: torch.device, opening: Opening | None = None
) -> SequenceWindows:
    """The windows of one split: "train", "dev" or "test", which wants its opening."""
    if split == SEALED:
        check_seal(opening, which_test_split(config))
    return _open_all(config, device)[split]


def normalise(raw_BXT: Tensor, amp_norm_type: Literal["std", "peak"]) -> Tensor:
    """Demean, then divide by the standard deviation or the peak, per component over time; a dead component stays 0.

    Equals SeisBench's Normalize(demean_axis=-1, amp_norm_axis=-1, amp_norm_type=...) of waveforms in counts, whatever
    unit they have.
    """
    raw_BXT = enlarged(raw_BXT)
    y_BXT = raw_BXT - raw_BXT.mean(dim=-1, keepdim=True)
    y_BXT = y_BXT - y_BXT.mean(dim=-1, keepdim=True)  # what rounding left of a large offset
    if amp_norm_type == "std":
        size_BX1 = y_BXT.square().mean(dim=-1, keepdim=True).sqrt()
    else:
        size_BX1 = y_BXT.abs().amax(dim=-1, keepdim=True)
    return y_BXT / (size_BX1 + _EPS)


def check_data(config: SequenceDataConfig) -> dict[str, str]:
    """Whether a classifier can be trained on this; facts for the record, the leakage check among them.

    Raises ValueError in one line where it cannot.
    """
    sequence = open_sequence(config.dataset)
    splits = split_sequence(sequence, config)
    leaks = leaked_events(sequence, splits)
    assert not leaks or config.protocol == "published", f"events in two splits: {leaks[:5]}"
    return {
        "dataset": config.dataset,
        "data_fingerprint": fingerprint(config.dataset),
        "data_synthetic": "yes" if sequence.is_synthetic else "no",
        "data_protocol": f"{config.protocol}, {config.split_method}, seed {config.split_seed}",
        "events_in_two_splits": str(len(leaks)),
        "traces": ", ".join(f"{split} {len(splits[split])}" for split in SPLITS),
        "num_classes": str(config.num_classes),
        "few_shot_fraction": f"{config.few_shot_fraction:g}",
    }


def _open_all(config: SequenceDataConfig, device: torch.device) -> dict[str, SequenceWindows]:
    sequence = open_sequence(config.dataset)
    event_N = sequence.metadata["source_id"].to_numpy()
    return {
        split: SequenceWindows(
            sequence.waveforms_NXT, rows.trace_R, rows.label_R, event_N[rows.trace_R], config.amp_norm_type, device
        )
        for split, rows in split_sequence(sequence, config).items()
    }
