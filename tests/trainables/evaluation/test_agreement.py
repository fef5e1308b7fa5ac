"""A student against the picks of its teacher, and of two teachers."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.evaluation.agreement import agree, consensus
from trainables.evaluation.picks import PickConfig

TIME_T = np.arange(3001)
AT = {"P": 0.3, "S": 0.3}


def answer(p: tuple[float, ...] = (), s: tuple[float, ...] = ()) -> np.ndarray:
    """Probabilities (C, T) of one window with a pick at each of these samples."""
    p_T, s_T = (
        sum((0.8 * np.exp(-((TIME_T - sample) ** 2) / 200) for sample in samples), np.zeros(3001)) for samples in (p, s)
    )
    return np.stack([p_T, s_T, 1 - np.maximum(p_T, s_T)])


class Windows:
    """Held-out windows, whose arrivals are the picks of a teacher; a batch is the numbers of its windows."""

    def __init__(self, *picks: dict[str, tuple[float, ...]], events: list[str] | None = None) -> None:
        self.arrivals = [{phase: np.array(its.get(phase, ()), dtype=float) for phase in "PS"} for its in picks]
        self.phases = ("P", "S")
        self.events = np.array(events or [f"block {number}" for number in range(len(picks))])

    def batches(self, batch_size: int):
        for start in range(0, len(self.arrivals), batch_size):
            numbers = range(start, min(start + batch_size, len(self.arrivals)))
            yield numbers, [self.arrivals[number] for number in numbers]


def says(*answers: np.ndarray):
    return lambda numbers: np.stack([answers[number] for number in numbers])


def test_a_student_that_picks_as_its_teacher_agrees_wholly():
    windows = Windows({"P": (500, 2000), "S": (900,)}, {"P": (100,), "S": (1500,)})
    student = says(answer((500, 2000), (900,)), answer((100,), (1500,)))
    found = agree(student, windows, AT, PickConfig(), batch_size=1)
    assert found.metrics["agreement/f1"] == found.metrics["agreement/s_recall"] == 1
    assert found.metrics["agreement/p_residual_mae_s"] == 0
    assert (found.metrics["agreement/p_picks"], found.metrics["agreement/s_picks"]) == (3, 2)
    assert "agreement/picks_of_one_teacher" not in found.metrics
    assert not [name for name in found.metrics if "threshold" in name]


def test_picks_are_right_within_half_a_second_of_the_teachers():
    windows = Windows({"P": (500,)}, {"P": (500,)}, {"P": (500,)})
    student = says(answer((550,)), answer((551,)), answer())
    found = agree(student, windows, AT, PickConfig(), batch_size=2)
    assert found.metrics["agreement/p_precision"] == pytest.approx(1 / 2)
    assert found.metrics["agreement/p_recall"] == pytest.approx(1 / 3)
    assert found.metrics["agreement/p_residual_mean_s"] == pytest.approx(0.5)


def test_a_phase_that_the_teacher_never_picks_counts_for_nothing():
    windows = Windows({"P": (500,)}, {"P": (700,)})
    windows.phases = ("P",)
    for arrivals in windows.arrivals:
        arrivals["S"] = None
    found = agree(says(answer((500,), (900,)), answer((700,))), windows, AT, PickConfig(), batch_size=2)
    assert found.metrics["agreement/f1"] == found.metrics["agreement/p_f1"] == 1
    assert "agreement/s_f1" not in found.metrics
    assert found.counts.phases == ["P"]


def test_the_interval_is_over_blocks_and_not_over_windows():
    picks, answers = [{"P": (500,), "S": (900,)}] * 8, [answer((500,), (900,))] * 4 + [answer()] * 4
    fine, coarse = (
        agree(says(*answers), Windows(*picks, events=events), AT, PickConfig(), batch_size=8)
        for events in (None, ["PB01 00"] * 4 + ["PB02 00"] * 4)
    )
    width = [one.metrics["agreement/f1_high"] - one.metrics["agreement/f1_low"] for one in (fine, coarse)]
    assert fine.metrics["agreement/f1"] == coarse.metrics["agreement/f1"]
    assert width[0] < width[1]
    assert len(coarse.counts.events) == 2


def test_two_teachers_agree_within_three_tenths_of_a_second_and_the_closest_pair_first():
    both = consensus(np.array([100.0, 500.0, 531.0]), np.array([130.0, 515.0, 900.0]))
    assert both.picks.tolist() == [100.0, 500.0]
    assert both.doubtful.tolist() == [531.0, 900.0]


def test_what_one_teacher_picks_alone_is_neither_truth_nor_error():
    """The first picks P at 500 and 1000, the second at 500 and 2000: the student is held against 500 alone."""
    windows = Windows({"P": (500, 1000)})
    second = says(answer((510, 2000)))
    near_the_first, near_the_second, elsewhere, at_none = (
        agree(says(answer((500, *more))), windows, AT, PickConfig(), 1, second).metrics
        for more in ((1000,), (2040,), (2500,), ())
    )
    assert at_none["agreement/p_f1"] == near_the_first["agreement/p_f1"] == near_the_second["agreement/p_f1"] == 1
    assert elsewhere["agreement/p_precision"] == pytest.approx(1 / 2)
    assert (at_none["agreement/p_picks"], at_none["agreement/picks_of_one_teacher"]) == (1, 2)
    missed = agree(says(answer()), windows, AT, PickConfig(), 1, second)
    assert missed.counts.missed["P"].tolist() == [1]


def test_a_second_teacher_has_a_threshold_of_its_own():
    windows = Windows({"P": (500,)})
    unsure = says(answer((500,)) * 0.5)
    strict = agree(says(answer((500,))), windows, AT, PickConfig(), 1, unsure, second_threshold=0.5)
    assert strict.counts.true["P"].tolist() == strict.counts.missed["P"].tolist() == [0]
