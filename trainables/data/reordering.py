"""The windows of an epoch in another order: the same windows, where the seed of their order is one of its own."""

# L window of a source, N window of an epoch

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def reordered(source_N: np.ndarray, passes: Sequence[int | None], seed: int, epoch: int) -> np.ndarray:
    """For each place of an epoch the position (N,) whose window comes there.

    A place keeps its source, of which `source_N` tells the number. A pass of a source, so many windows of it (`passes`,
    None: all of an epoch), is reordered within itself: every trace still comes once in each pass over them.
    """
    position_N = np.arange(len(source_N))
    for source, length in enumerate(passes):
        own_L = np.flatnonzero(source_N == source)
        pass_L = np.arange(len(own_L)) // (length or len(own_L) or 1)
        random_L = np.random.default_rng([seed, epoch, source]).random(len(own_L))
        position_N[own_L] = own_L[np.lexsort((random_L, pass_L))]
    return position_N


def rank_in_source(source_N: np.ndarray) -> np.ndarray:
    """How many windows of its source come before each (N,)."""
    rank_N = np.empty(len(source_N), dtype=np.int64)
    for source in np.unique(source_N):
        own_L = np.flatnonzero(source_N == source)
        rank_N[own_L] = np.arange(len(own_L))
    return rank_N
