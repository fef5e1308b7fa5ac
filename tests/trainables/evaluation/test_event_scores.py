from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.counts import MISTAKEN, counts_behind, read_counts, write_counts
from trainables.evaluation.event_scores import count_by_event, mistaken_intervals
from trainables.evaluation.picks import PickConfig
from trainables.metrics import direction

THRESHOLDS = {"P": 0.5, "S": 0.5}


class Dev:
    """Four windows of four events: a P at 500 and an S at 1500 in each; S was not looked for in the last."""

    events = np.array(["a", "b", "c", "d"])
    phases = ("P", "S")

    def batches(self, batch_size: int):
        for window in range(len(self.events)):
            s = None if window == 3 else np.array([1500.0])
            yield window, [{"P": np.array([500.0]), "S": s}]


def s_on_p_in_the_first_and_last(window: int) -> np.ndarray:
    probabilities_BCT = np.zeros((1, 3, 3001), dtype=np.float32)
    probabilities_BCT[0, 1 if window in (0, 3) else 0, 500] = 0.9
    probabilities_BCT[0, 1, 1500] = 0.9
    return probabilities_BCT


def test_mistakes_are_counted_by_event_and_have_intervals(tmp_path):
    counts, mistaken = count_by_event(s_on_p_in_the_first_and_last, Dev(), THRESHOLDS, PickConfig(), 1)
    assert counts.true["P"].tolist() == [0, 1, 1, 0]
    assert mistaken.true["s_picks_on_p_share"].tolist() == [1, 0, 0, 0]
    assert mistaken.missed["s_picks_on_p_share"].tolist() == [0, 1, 1, 0]  # where S was not looked for, nothing counts
    found = mistaken_intervals(mistaken, "dev")
    assert found["dev/s_picks_on_p_share_low"] < 1 / 3 < found["dev/s_picks_on_p_share_high"]
    assert found["dev/p_picks_on_s_share_low"] == 0

    write_counts(tmp_path / "counts.json", {"dev": counts, MISTAKEN.format("dev"): mistaken})
    kept = read_counts(tmp_path / "counts.json")
    assert counts_behind("dev/s_picks_on_p_share", kept).f1() == pytest.approx(1 / 3)
    assert counts_behind("dev/s_f1", kept).phases == ["S"]
    assert counts_behind("int8/s_picks_on_p_share", kept) is None


def test_fewer_mistakes_are_better():
    assert direction("dev/s_picks_on_p_share") == direction("dev/p_picks_on_s_share") == "min"
