"""Windows of continuous waveforms: around the teacher's picks or anywhere for training, in a fixed row for dev."""

# B window, K pick, W span that windows are drawn from

from __future__ import annotations

import logging
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import nn

from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.draws import Windows
from trainables.data.mixing import Keys, Source, labelled_sources
from trainables.data.overlaps import recorded_in
from trainables.data.seal import Opening
from trainables.data.streams import StreamStore, few_picks, open_streams
from trainables.data.windowing import PRESCRIBED, Windowing
from trainables.data.windows import WindowStore, open_stores

logger = logging.getLogger("trainables.data")

MOST_DEV_WINDOWS = 2000


def stream_source(store: StreamStore, config: DataConfig, others: float) -> Source:
    """Streams beside data sets whose shares sum to `others`, or alone where that is 0."""
    share = config.streams_share / (1 - config.streams_share) * others if others else 1.0
    return Source(store, share, stream_windows, is_masked=True)


def stream_windows(store: WindowStore, config: DataConfig, keys: Keys) -> Windows:
    """Of `data.streams_around_picks` of the windows each holds a pick of the teacher, anywhere in it; picks come in
    seeded permutations. The others begin at any sample alike."""
    assert isinstance(store, StreamStore)
    num_samples = store.windowing.samples
    num_starts_W = store.span_high_W - store.span_low_W - num_samples + 1
    until_W = np.cumsum(num_starts_W)
    place_B = (keys.uniform_BU[:, 0] * until_W[-1]).astype(np.int64)
    span_B = np.searchsorted(until_W, place_B, side="right")
    start_B = store.span_low_W[span_B] + place_B - (until_W - num_starts_W)[span_B]

    pick_K, span_K = store.picks_in_spans
    share = config.streams_around_picks if len(pick_K) else 0.0
    rank_B = np.floor(keys.local_B * share + 1e-9).astype(np.int64)  # of the picks that earlier windows have taken
    is_around_B = np.floor((keys.local_B + 1) * share + 1e-9).astype(np.int64) > rank_B
    if is_around_B.any():
        chosen_B = keys.visits(rank_B[is_around_B], len(pick_K))
        around_B = span_K[chosen_B]
        low_B = np.maximum(pick_K[chosen_B] - num_samples + 1, store.span_low_W[around_B])
        high_B = np.minimum(pick_K[chosen_B], store.span_high_W[around_B] - num_samples)
        within_B = keys.uniform_BU[is_around_B, 1] * (high_B - low_B + 1)
        start_B[is_around_B], span_B[is_around_B] = low_B + within_B.astype(np.int64), around_B
    return Windows(store.span_trace_W[span_B], start_B, store.span_low_W[span_B], store.span_high_W[span_B])


class StreamDevWindows(DevWindows):
    """Windows that lie side by side over a split of streams, at most 2000 chosen evenly. The teacher's picks are their
    truth; events are blocks of ten minutes of a station."""

    def __init__(self, store: StreamStore, config: DataConfig, device: torch.device | str = "cpu") -> None:
        self.store, self.stores = store, (store,)
        self.config, self.device = config, device
        self.windows_per_trace = 0
        self.windows = [tiled(store)]

    @property
    def is_masked(self) -> bool:
        """A phase that the teacher never picks is unknown."""
        return True

    @cached_property
    def events(self) -> np.ndarray:
        (windows,) = self.windows
        return self.store.block_of(windows.trace_B, windows.start_B)


def tiled(store: StreamStore, most: int = MOST_DEV_WINDOWS) -> Windows:
    """Windows side by side over all spans, `most` at most, spread evenly."""
    num_samples = store.windowing.samples
    num_W = (store.span_high_W - store.span_low_W) // num_samples
    span_B = np.repeat(np.arange(len(num_W)), num_W)
    number_B = np.arange(len(span_B)) - np.repeat(np.cumsum(num_W) - num_W, num_W)
    if len(span_B) > most:
        chosen_B = np.linspace(0, len(span_B) - 1, most).round().astype(np.int64)
        span_B, number_B = span_B[chosen_B], number_B[chosen_B]
    start_B = store.span_low_W[span_B] + number_B * num_samples
    return Windows(store.span_trace_W[span_B], start_B, store.span_low_W[span_B], store.span_high_W[span_B])


def open_stream_dev(
    config: DataConfig,
    teacher: nn.Module,
    windowing: Windowing = PRESCRIBED,
    device: torch.device | str = "cpu",
    opening: Opening | None = None,
) -> StreamDevWindows:
    """The dev windows of `data.streams`, with the picks of a teacher as their truth; those of what is held out where
    that is opened. Raises ValueError in one line."""
    split: Literal["dev", "test"] = "dev" if opening is None else "test"
    return StreamDevWindows(open_streams(config, teacher, split, opening, windowing), config, device)


def open_sources(config: DataConfig, teacher: nn.Module | None, windowing: Windowing) -> list[Source]:
    """Data sets and streams, each with its share of the training windows. Raises ValueError in one line."""
    sources = labelled_sources(config, open_stores(config, "train", windowing=windowing))
    if config.learns_from_streams and teacher is not None:
        recorded = recorded_in(config)
        store = open_streams(config, teacher, "train", windowing=windowing, labelled=recorded)
        if few := few_picks(store):
            logger.warning("%s", few)
        sources.append(stream_source(store, config, sum(source.share for source in sources)))
    return sources


def open_dev(
    config: DataConfig,
    teacher: nn.Module | None,
    windowing: Windowing = PRESCRIBED,
    device: torch.device | str = "cpu",
    opening: Opening | None = None,
) -> DevWindows:
    """The dev windows of the data sets; without one those of streams, whose reference the teacher's picks are. Those of
    the test split where that is opened."""
    if config.has_dataset:
        split: Literal["dev", "test"] = "dev" if opening is None else "test"
        return DevWindows(open_stores(config, split, opening, windowing), config, device)
    assert teacher is not None, "streams need a teacher"
    return open_stream_dev(config, teacher, windowing, device, opening)
