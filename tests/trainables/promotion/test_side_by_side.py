"""Scores of several models and their differences, from counts made by hand."""

# F field of counts, N window, P phase

from __future__ import annotations

import numpy as np
import pytest

from trainables.data.config import PHASES
from trainables.evaluation.picks import FIELDS
from trainables.promotion.side_by_side import Entry, _table, as_plain

THRESHOLDS = {"P": 0.3, "S": 0.4}


def entry(name: str) -> Entry:
    return Entry(name, lambda batch: np.empty(0), 3001, 10, 20, THRESHOLDS)


def counts(true_N: list[int], false_N: list[int]) -> np.ndarray:
    """One arrival of each phase a window; both phases alike."""
    counts_NPF = np.zeros((len(true_N), len(PHASES), len(FIELDS)))
    for n, (true, false) in enumerate(zip(true_N, false_N, strict=True)):
        counts_NPF[n, :, [FIELDS.index(field) for field in ("tp", "fp", "fn", "duration_s")]] = np.array(
            [[true] * 2, [false] * 2, [1 - true] * 2, [30.0] * 2]
        )
    return counts_NPF


EVENTS = np.array(["a", "a", "b", "c", "d", "x"])
SETS = np.array([0, 0, 0, 0, 0, 1])


def table(number: int, models: dict[str, np.ndarray]):
    entries = [entry(name) for name in models]
    return _table("one", number, entries, models, {3001: (EVENTS, SETS)}, "test")


def test_scores_and_differences_are_of_one_data_set_alone():
    good, worse = counts([1] * 5 + [0], [0] * 6), counts([1, 0, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0])
    first = table(0, {"worse": worse, "good": good})
    assert (first.best, first.windows, first.events) == ("good", 5, 4)
    by_name = {row.entry.name: row for row in first.rows}
    assert by_name["good"].scores["f1"][::2] == (1, 1)
    assert by_name["worse"].scores["f1"].value == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert by_name["good"].to_best == (0, 0, 0)
    less = by_name["worse"].to_best
    assert less.value == pytest.approx(2 / 3 - 1)
    assert less.low <= less.value <= less.high
    second = table(1, {"worse": worse, "good": good})
    assert (second.best, second.windows, second.events) == ("worse", 1, 1)


def test_equal_models_do_not_differ_in_any_draw():
    same = counts([1, 0, 1, 0, 1, 1], [0, 1, 0, 0, 0, 0])
    rows = table(0, {"a": same, "b": same.copy()}).rows
    assert [row.to_best for row in rows] == [(0, 0, 0), (0, 0, 0)]


def test_a_card_keeps_plain_data():
    (plain,) = as_plain([table(0, {"a": counts([1] * 6, [0] * 6)})])
    assert plain["best"] == "a"
    (model,) = plain["models"]
    assert model["thresholds"] == THRESHOLDS
    assert (model["f1"]["value"], model["f1"]["high"]) == (1, 1)
    assert 0.5 < model["f1"]["low"] < 1, "six events without an error leave so much open"
    assert (model["parameters"], model["bytes"]) == (10, 20)
