"""Trials that no other one dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def on_the_front(points: Sequence[Sequence[float]]) -> np.ndarray:
    """Row mask of the Pareto-optimal points, all columns minimised: shape (n,), bool, of points (n, k).

    A point is on the front if no other is at least as good in every column and better in one. Equal points are on it
    together.
    """
    values = np.asarray(points, dtype=float)
    stays = np.ones(len(values), dtype=bool)
    for n, point in enumerate(values):
        rivals = values[stays]
        stays[n] = not ((rivals <= point).all(axis=1) & (rivals < point).any(axis=1)).any()
    return stays
