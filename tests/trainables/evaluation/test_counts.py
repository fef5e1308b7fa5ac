from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.counts import COUNTS_FILE, MOST_ROWS, EventCounts, read_counts, write_counts

PHASES = ["P", "S"]


def test_counts_of_windows_are_summed_by_event():
    windows = np.array([[[1, 0, 0], [1, 2, 0]], [[0, 0, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 0]]])
    counts = EventCounts.of_events(["b", "a", "b"], windows, PHASES)
    assert counts.events == ["a", "b"]
    assert counts.true["P"].tolist() == [0, 2]
    assert counts.false["S"].tolist() == [0, 2]
    assert counts.missed["S"].tolist() == [1, 0]


def test_f1_is_that_of_the_sums_and_the_mean_over_phases():
    counts = EventCounts.of_events(["a", "b"], np.array([[[3, 1, 0], [0, 0, 0]], [[1, 0, 3], [2, 0, 2]]]), PHASES)
    assert counts.f1("P") == pytest.approx(2 * 4 / (2 * 4 + 1 + 3))
    assert counts.f1("S") == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert counts.f1() == pytest.approx((counts.f1("P") + counts.f1("S")) / 2)


def test_a_file_of_many_events_stays_below_100_kilobytes(tmp_path):
    num_events = 50 * MOST_ROWS
    windows = np.random.default_rng(0).integers(0, 40, (num_events, 2, 3))
    counts = EventCounts.of_events([f"a_long_name_of_an_event_{n:09d}" for n in range(num_events)], windows, PHASES)
    write_counts(tmp_path / COUNTS_FILE, {"dev": counts, "fp32": counts, "int8": counts, "teacher": counts})
    assert (tmp_path / COUNTS_FILE).stat().st_size < 100_000
    assert counts.f1() == pytest.approx(EventCounts.of_events(["all"] * num_events, windows, PHASES).f1())


def test_counts_are_read_as_they_were_written(tmp_path):
    counts = EventCounts.of_events(["a", "b"], np.arange(12).reshape(2, 2, 3), PHASES)
    write_counts(tmp_path / COUNTS_FILE, {"dev": counts})
    (name, again), *others = read_counts(tmp_path / COUNTS_FILE).items()
    assert (name, others) == ("dev", [])
    assert again.events == counts.events
    np.testing.assert_array_equal(again.tensor, counts.tensor)


@pytest.mark.parametrize("text", ["", "[]", '{"events": ["a"], "models": {"dev": {"true": {}}}}', '{"dev": 3}'])
def test_another_file_is_named_in_one_line(tmp_path, text):
    (tmp_path / COUNTS_FILE).write_text(text)
    with pytest.raises(ValueError, match=COUNTS_FILE):
        read_counts(tmp_path / COUNTS_FILE)
