"""Trials that no other one dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def on_the_front(points: Sequence[Sequence[float]]) -> np.ndarray:
    """Of points (n, k) whose columns are all to be small: those that no other is at least as good as in everything
    and better than in something. Equal points stand or fall together. Shape (n,), bool."""
    values = np.asarray(points, dtype=float)
    stays = np.ones(len(values), dtype=bool)
    for n, point in enumerate(values):
        rivals = values[stays]
        stays[n] = not ((rivals <= point).all(axis=1) & (rivals < point).any(axis=1)).any()
    return stays
