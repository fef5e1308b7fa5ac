"""Intervals of scores: right for what is known, honest about events, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.intervals import bootstrap, by_group


def share(sums):
    return {"share": sums[0] / sums[1]} if sums[1] else {}


def counts(hits):
    """Hits and tries, one row a window."""
    return np.stack([hits, np.ones_like(hits)], axis=1).astype(float)


def test_the_interval_of_a_share_is_that_of_the_binomial():
    hits = np.arange(400) < 300
    found = bootstrap(counts(hits), share)["share"]
    assert found.value == 0.75
    error = (0.75 * 0.25 / 400) ** 0.5
    assert found.low == pytest.approx(0.75 - 1.96 * error, abs=0.3 * error)
    assert found.high == pytest.approx(0.75 + 1.96 * error, abs=0.3 * error)


def test_windows_of_one_event_count_as_one():
    hits = np.repeat(np.arange(20) < 15, 20)
    events = np.repeat(np.arange(20), 20)
    alone = bootstrap(counts(hits), share)["share"]
    together = bootstrap(by_group(counts(hits), events), share)["share"]
    assert together.value == alone.value
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_groups_are_sums_in_any_order_and_shape():
    rows = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_array_equal(by_group(rows, np.array(["b", "a", "b"])), [rows[1], rows[0] + rows[2]])


def test_the_same_draws_every_time_and_for_every_model():
    hits = np.arange(30) < 20
    assert bootstrap(counts(hits), share) == bootstrap(counts(hits), share)
    few = [bootstrap(counts(hits), share, draws=20, seed=seed) for seed in (0, 1)]
    assert few[0] != few[1]


def test_a_score_that_some_draws_lack_has_the_interval_of_the_others():
    sums = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert bootstrap(sums, share)["share"] == (1.0, 1.0, 1.0)
