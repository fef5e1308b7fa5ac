"""Which trial is better: the direction of a metric, and whom nothing dominates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables import metrics


def direction_of(metric: str, objectives: Mapping[str, str]) -> tuple[str, str]:
    """Name and `max` or `min` of a metric: the sweep's own, else what is known of such a metric; `loss:min` says it.

    Raises ValueError where nothing says it.
    """
    name, _, said = metric.rpartition(":")
    if name and said in ("max", "min"):
        return name, said
    known = objectives.get(metric) or metrics.direction(metric)
    if known is None:
        raise ValueError(f"is more of {metric} better, or less? Say {metric}:max or {metric}:min")
    return metric, known


def on_the_front(points: Sequence[Sequence[float]]) -> np.ndarray:
    """Of points (n, k) whose columns are all to be small: those that no other is at least as good as in everything
    and better than in something. Equal points stand or fall together. Shape (n,), bool."""
    values = np.asarray(points, dtype=float)
    stays = np.ones(len(values), dtype=bool)
    for n, point in enumerate(values):
        rivals = values[stays]
        stays[n] = not ((rivals <= point).all(axis=1) & (rivals < point).any(axis=1)).any()
    return stays
