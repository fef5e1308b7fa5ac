"""Training windows of several sources in the same batches, each with its share.

Every choice is a function of seed, epoch and a window's position in the epoch, so joint batches do not depend on how
many workers share them. With one source they are what that source alone gives.
"""

# B window of a batch, S source, U random stream, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.augmentations import augment, with_gaps
from trainables.data.batches import MASK, Batch, make_batch
from trainables.data.config import SAMPLING_RATE_HZ, DataConfig
from trainables.data.draws import GOLDEN, SILVER, Windows, choose_windows, uniform, visit_order
from trainables.data.quiet_stretches import QuietStretches
from trainables.data.rate import recorded
from trainables.data.reordering import rank_in_source, reordered
from trainables.data.stacking import Stacked, stack
from trainables.data.windows import WindowStore


class Keys(NamedTuple):
    """What the windows that a batch takes of one source are chosen by."""

    seed: int
    epoch: int
    local_B: np.ndarray
    """Position within the source: how many windows of it come earlier in the epoch."""
    position_B: np.ndarray
    """Position within the epoch."""
    uniform_BU: np.ndarray
    """Random numbers in [0, 1) of each window, by its position in the epoch; 3 to 5 scale its components."""
    visit_seed: int | None = None
    """What decides which trace or pick comes when; None: `seed`, as it does about all else."""

    def visits(self, place_B: np.ndarray, count: int) -> np.ndarray:
        """Which of `count` traces or picks come at these places: seeded permutations, one after the other."""
        seed = self.seed if self.visit_seed is None else self.visit_seed
        return visit_order(seed, self.epoch, place_B, count)


Choose = Callable[[WindowStore, DataConfig, Keys], Windows]
"""Which windows of a source a batch takes, one for each of `local_B`."""


def labelled_windows(store: WindowStore, config: DataConfig, keys: Keys) -> Windows:
    """A random window around an arrival of each trace; traces come in seeded permutations, one pass after the other."""
    trace_B = keys.visits(keys.local_B, len(store))
    return _shifted(choose_windows(store, trace_B, keys.uniform_BU), store, config, keys.uniform_BU[:, 2])


class Source(NamedTuple):
    """Where windows are drawn from."""

    store: WindowStore
    share: float
    """Of all windows, relative to the shares of the other sources; above 0."""
    choose: Choose = labelled_windows
    is_masked: bool = False
    """Whether what is not labelled is unknown whatever the configuration says."""


def labelled_sources(config: DataConfig, stores: Sequence[WindowStore]) -> list[Source]:
    """The data sets of a configuration, each with its share: `data.shares`, else its number of traces."""
    shares = config.shares or [len(store) for store in stores]
    return [Source(store, share) for store, share in zip(stores, shares, strict=True) if share > 0]


def training_batches(store: WindowStore, config: DataConfig, **epoch: Any) -> Iterator[Batch]:
    """`mixed_batches` of one store."""
    return mixed_batches([Source(store, 1)], config, **epoch)


def mixed_batches(
    sources: Sequence[Source],
    config: DataConfig,
    *,
    seed: int,
    epoch: int,
    num_steps: int,
    batch_size: int,
    device: torch.device | str,
    rank: int = 0,
    world_size: int = 1,
    visit_seed: int | None = None,
    order_seed: int | None = None,
) -> Iterator[Batch]:
    """One epoch of random windows; each rank gets its contiguous part of every joint batch.

    A joint batch holds of each source what its share of the batch is, rounded up or down, such that the shares are kept
    over the batches too. A phase that is unknown in one source is masked in its windows alone.

    `visit_seed`: instead of `seed` it decides which traces come when. `order_seed`: the windows of the epoch, which
    stay as they are, come in another order.
    """
    first, last = batch_size * rank // world_size, batch_size * (rank + 1) // world_size
    share_S = np.array([source.share for source in sources], dtype=float)
    before_S = np.zeros(len(sources), dtype=np.int64)
    quiet = QuietStretches.of([source.store for source in sources]) if config.noise_share else None
    order = None if order_seed is None else _Order(sources, share_S, order_seed, epoch, num_steps, batch_size)
    for step in range(num_steps):
        count_S = windows_of_each(share_S, batch_size, epoch, step)
        source_B, place_B = _interleaved(count_S)
        source_B, local_B = source_B[first:last], (before_S[source_B] + place_B)[first:last]
        position_B = step * batch_size + np.arange(first, last)
        if order is not None:
            position_B = order.position_N[position_B]
            local_B = order.local_N[position_B]
        uniform_BU = uniform(seed, epoch, position_B)
        rows, parts = [], []
        for number in np.unique(source_B) if len(source_B) else [0]:
            row_B = np.flatnonzero(source_B == number)
            rows.append(row_B)
            keys = Keys(seed, epoch, local_B[row_B], position_B[row_B], uniform_BU[row_B], visit_seed)
            parts.append(_part(sources[number], config, keys, quiet, device))
        yield parts[0] if len(parts) == 1 else _joined(parts, np.concatenate(rows))
        before_S += count_S


class _Order:
    """Another order of the windows of an epoch."""

    def __init__(
        self, sources: Sequence[Source], share_S: np.ndarray, seed: int, epoch: int, num_steps: int, batch_size: int
    ) -> None:
        counts = [windows_of_each(share_S, batch_size, epoch, step) for step in range(num_steps)]
        source_N = np.concatenate([_interleaved(count_S)[0] for count_S in counts])
        passes = [len(source.store) if source.choose is labelled_windows else None for source in sources]
        self.position_N, self.local_N = reordered(source_N, passes, seed, epoch), rank_in_source(source_N)


def windows_of_each(share_S: np.ndarray, batch_size: int, epoch: int, step: int) -> np.ndarray:
    """How many windows of each source (S,) the joint batch of a step holds; they sum to `batch_size`.

    What is left of a batch after rounding down goes to sources by systematic sampling (Madow 1949,
    doi:10.1214/aoms/1177729988), from starts that are spread evenly over the batches.
    """
    wanted_S = batch_size * share_S / share_S.sum()
    whole_S = np.floor(wanted_S + 1e-9)
    edge_S = np.cumsum(np.clip(wanted_S - whole_S, 0, None))
    edge_S[-1] = batch_size - whole_S.sum()
    start = (0.5 + step * GOLDEN + epoch * SILVER) % 1
    return (whole_S + np.diff(np.floor(edge_S + start), prepend=0)).astype(np.int64)


def _interleaved(count_S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The source of each window of a joint batch, and which of its source's it is: each source is spread over the
    batch, so that every worker's part is a mixture too."""
    source_B = np.repeat(np.arange(len(count_S)), count_S)
    place_B = np.arange(len(source_B)) - np.repeat(np.cumsum(count_S) - count_S, count_S)
    order_B = np.argsort((place_B + 0.5) / count_S[source_B], kind="stable")
    return source_B[order_B], place_B[order_B]


def _part(
    source: Source, config: DataConfig, keys: Keys, quiet: QuietStretches | None, device: torch.device | str
) -> Batch:
    store, own = source.store, (keys.seed, keys.epoch, keys.position_B)
    windows = source.choose(store, config, keys)
    its = Stacked(*recorded(store, windows, config, *own), store.known[windows.trace_B])
    stack(its, store, quiet, config, _gains(config, keys.uniform_BU[:, 3:6]), own)
    augment(its.raw_BXT, config, *own)
    onsets = with_gaps(its.raw_BXT, its.onsets, config, store.windowing.around, *own)
    is_masked = source.is_masked or config.missing_phase == MASK
    return make_batch(store, windows, its.raw_BXT, config.sigma_samples, device, is_masked, onsets, its.known_BP)


def _joined(parts: list[Batch], row_B: np.ndarray) -> Batch:
    """One batch of several, whose windows go to the rows `row_B` of it."""
    order_B = torch.from_numpy(np.argsort(row_B)).to(parts[0].raw_BXT.device)

    def join(field: str) -> Tensor | None:
        columns = [getattr(part, field) for part in parts]
        if all(column is None for column in columns):
            return None
        if field == "labelled_BP":
            columns = [
                torch.ones(len(part.raw_BXT), 2, dtype=torch.bool, device=order_B.device) if column is None else column
                for part, column in zip(parts, columns, strict=True)
            ]
        return torch.cat(columns)[order_B]

    return Batch(*(join(field) for field in Batch._fields))  # type: ignore[arg-type]


def _shifted(windows: Windows, store: WindowStore, config: DataConfig, uniform_B: np.ndarray) -> Windows:
    if config.max_time_shift_s == 0:
        return windows
    shift_B = np.rint((2 * uniform_B - 1) * config.max_time_shift_s * SAMPLING_RATE_HZ).astype(np.int64)
    # A shifted window may reach beyond its span, into whatever else the store has of the trace.
    length_B = store.length_N[windows.trace_B]
    return Windows(windows.trace_B, windows.start_B + shift_B, np.zeros_like(length_B), length_B)


def _gains(config: DataConfig, uniform_BX: np.ndarray) -> np.ndarray | None:
    """By what each component is multiplied; None: by nothing."""
    if config.max_amplitude_scale == 1:
        return None
    return (config.max_amplitude_scale ** (2 * uniform_BX - 1)).astype(np.float32)
