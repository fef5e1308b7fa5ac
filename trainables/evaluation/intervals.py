"""Confidence intervals of scores by the bootstrap over events.

Windows of one event share its source and often its station, so whole events are drawn (Efron and Tibshirani 1993,
percentile method). The same seed draws the same events for every model: their scores can be compared draw by draw.
"""

# G event

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

DRAWS = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A score of a whole split, and within what it lies in 95 of 100 redrawn splits."""

    value: float
    low: float
    high: float


def by_group(sums: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Sums (G, ...) of the rows of `sums` (N, ...) that have the same `group` (N,)."""
    _, place_N = np.unique(group, return_inverse=True)
    grouped = np.zeros((place_N.max(initial=-1) + 1, *sums.shape[1:]))
    np.add.at(grouped, place_N, sums)
    return grouped


def bootstrap(
    sums_G: np.ndarray, score: Callable[[np.ndarray], Mapping[str, float]], draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Every score of the sum over events, with its interval.

    `sums_G` is (G, ...), sums of each event; `score` makes scores of their sum. A score that some draws lack (the
    residual where nothing was picked right) has the interval of the others.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        times_G = rng.multinomial(len(sums_G), np.full(len(sums_G), 1 / len(sums_G)))
        for name, value in score(np.tensordot(times_G, sums_G, axes=1)).items():
            found.setdefault(name, []).append(value)
    tail = (1 - LEVEL) / 2
    return {
        name: Interval(float(value), *(float(end) for end in np.quantile(found.get(name, [value]), [tail, 1 - tail])))
        for name, value in score(sums_G.sum(axis=0)).items()
    }
