"""How well an F1, or the difference of two, is known: 95 % intervals by the bootstrap over events.

Dev splits are small (13 events are not rare), and a few events carry most errors. There, the plain percentile interval
covers the truth in 85 to 91 of 100 cases instead of 95. So this is the bootstrap-t (Efron and Tibshirani 1993, chapter
12.5): whole events are drawn anew, each draw's distance from the score is divided by its own standard error (the
infinitesimal jackknife, from the influence of each event), and the quantiles of that are put around the score with its
jackknife error, neither nearer than Student's t. `benchmarks/known_truth.py` holds it against simulated sweeps.
"""

# N event, P phase, R draw; a score is made of features (N, 2 P): for each phase 2 true, and 2 true + false + missed

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from scipy.special import stdtrit

from trainables.evaluation.counts import EventCounts

LEVEL = 0.95
LEAST_SHARE = 0.25
"""A draw that happens to leave the few events with errors out has next to no error of its own: it counts with this
share of the jackknife's, else it would have no end."""


def f1_interval(counts: EventCounts, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Ends of the 95 % interval of `counts.f1()`, the mean over phases.

    One event says nothing: (0, 1). Where events are all without error, or all without a hit, the bootstrap has nothing
    to draw, and the end is what so many events leave open: the share of wholly missed ones that N events without any
    do not rule out (Clopper-Pearson). The same seed draws the same events for every model.
    """
    value, num_events = counts.f1(), len(counts.events)
    if num_events < 2:
        return 0.0, 1.0
    low, high, error = bootstrap_t(partial(_score, [_features(counts)]), num_events, resamples, seed)
    if not error and value in (0.0, 1.0):
        share = ((1 - LEVEL) / 2) ** (1 / num_events)
        return (2 * share / (1 + share), 1.0) if value else (0.0, 2 * (1 - share) / (2 - share))
    return max(low, 0.0), min(high, 1.0)


def paired_f1_difference(
    a: EventCounts, b: EventCounts, resamples: int = 2000, seed: int = 0, level: float = LEVEL
) -> tuple[float, float, float]:
    """F1 of `a` minus F1 of `b` on the same events, and the ends of its interval, 95 % where no other `level` is asked
    for: what is drawn is an event with
    what both made of it, so that hard events count for neither. Models that agree on every event differ by (0, 0, 0).

    One event says nothing: -1 and 1. Raises ValueError where the events or the phases are others.
    """
    if a.events != b.events or a.phases != b.phases:
        raise ValueError(
            f"counts of {len(a.events)} and of {len(b.events)} events cannot be compared: events or phases differ"
        )
    difference = a.f1() - b.f1()
    if len(a.events) < 2:
        return difference, -1.0, 1.0
    score = partial(_score, [_features(a), _features(b)])
    low, high, _ = bootstrap_t(score, len(a.events), resamples, seed, level)
    return difference, max(low, -1.0), min(high, 1.0)


def bootstrap_t(
    score: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    num_events: int,
    resamples: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Ends of the interval of a score, and its jackknife error.

    `score` is given how often each event counts (R, N) and returns the score and its standard error (R,) of each row; a
    draw that has none is left out. NaN where one event alone makes the score what it is.
    """
    value, _ = score(np.ones((1, num_events)))
    one_left_out, _ = score(1 - np.eye(num_events))
    error = float(one_left_out.std() * np.sqrt(num_events - 1))
    if not np.isfinite(error):
        return np.nan, np.nan, np.nan
    if error < 1e-12:
        return float(value[0]), float(value[0]), 0.0
    drawn_R, error_R = score(_draws(num_events, resamples, seed))
    t_R = (drawn_R - value) / np.maximum(error_R, LEAST_SHARE * error)
    least_t = stdtrit(num_events - 1, (1 + level) / 2)
    low_t, high_t = np.quantile(t_R[np.isfinite(t_R)], [(1 - level) / 2, (1 + level) / 2])
    return float(value[0] - max(high_t, least_t) * error), float(value[0] - min(low_t, -least_t) * error), error


@lru_cache(maxsize=2)
def _draws(num_events: int, resamples: int, seed: int) -> np.ndarray:
    """How often each event is drawn (R, N): the same for every score of the same events."""
    rng = np.random.default_rng(seed)
    draws_RN = rng.multinomial(num_events, np.full(num_events, 1 / num_events), resamples).astype(float)
    draws_RN.setflags(write=False)
    return draws_RN


def _features(counts: EventCounts) -> np.ndarray:
    true, false, missed = np.moveaxis(counts.tensor.astype(float), -1, 0)
    return np.concatenate([2 * true, 2 * true + false + missed], axis=1)


def _score(features: list[np.ndarray], weight_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score (R,) and standard error (R,) where each event counts `weight_RN` times.

    An event's influence on a score is linear in its features, with coefficients `slope`; the variance is the weighted
    sum of its squares, and so a quadratic form of the features' products.
    """
    score_R = np.zeros(len(weight_RN))
    slopes = []
    for sign, of_model in zip((1.0, -1.0), features, strict=False):
        num_phases = of_model.shape[1] // 2
        sums = weight_RN @ of_model
        below = np.maximum(sums[:, num_phases:], 1)
        f1_RP = sums[:, :num_phases] / below
        score_R += sign * f1_RP.mean(axis=1)
        slopes.append(sign / num_phases * np.concatenate([1 / below, -f1_RP / below], axis=1))
    together, slope = np.concatenate(features, axis=1), np.concatenate(slopes, axis=1)
    products = together[:, :, None] * together[:, None, :]
    size = together.shape[1]
    spread = (weight_RN @ products.reshape(len(together), -1)).reshape(-1, size, size)
    variance_R = np.einsum("rf,rfg,rg->r", slope, spread, slope, optimize=True)
    num_events = len(together)
    return score_R, np.sqrt(np.maximum(variance_R, 0) * num_events / max(num_events - 1, 1))
