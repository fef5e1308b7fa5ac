from __future__ import annotations

import pytest
from seisweep.engine.outcome import TrialRow
from seisweep.screen.progress import Progress
from seisweep.text import short_names, show_number, show_seconds


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def row(number: int, state: str, epoch: int = 1, f1: float | None = None, **params: object) -> TrialRow:
    metrics = {} if f1 is None else {"dev/f1": f1}
    return TrialRow(number, f"t{number}", state, epoch, 5, metrics, params)


def test_progress_counts_rates_and_ends():
    clock = Clock()
    progress = Progress(clock)
    progress.begin({"dev/f1": "max"}, num_trials=4)
    assert progress.seconds_left() is None
    assert progress.update(row(0, "running"))
    assert not progress.update(row(0, "running", epoch=2, f1=0.5))
    clock.now_s = 60.0
    assert progress.update(row(0, "done", f1=0.8))
    progress.update(row(1, "failed", f1=float("nan")))
    assert progress.trials_per_hour == pytest.approx(120)
    assert progress.seconds_left() == pytest.approx(60)
    assert progress.summary() == (
        "2 of 4 done, 0 running, best dev/f1 0.8 (trial 0), 1 failed, 120 trials/hour, about 60 s left"
    )


def test_a_smaller_value_is_better_where_the_objective_says_so():
    progress = Progress()
    progress.begin({"dev/f1": "min"}, num_trials=None)
    for number, f1 in enumerate([0.5, 0.3, 0.4]):
        progress.update(row(number, "done", f1=f1))
    assert progress.best() == ("dev/f1", 0.3, row(1, "done", f1=0.3))


def test_the_best_so_far_does_not_fall_when_a_trial_has_a_worse_epoch():
    progress = Progress()
    progress.begin({"dev/f1": "max"}, num_trials=2)
    for epoch, f1 in enumerate([0.5, 0.8, 0.6], start=1):
        progress.update(row(0, "running", epoch, f1))
    assert progress.best()[:2] == ("dev/f1", 0.8)


def test_a_finished_trial_is_the_best_while_a_better_one_is_under_way():
    progress = Progress()
    progress.begin({"dev/f1": "max"}, num_trials=3)
    progress.update(row(0, "running", 1, f1=0.6))
    assert progress.best()[:2] == ("dev/f1", 0.6), "while none has finished"
    progress.update(row(0, "stopped", 1, f1=0.8))
    progress.update(row(1, "done", 4, f1=0.7))
    assert progress.best()[1:] == (0.7, row(1, "done", 4, f1=0.7))
    assert "best dev/f1 0.7 (trial 1)" in progress.summary()
    assert "under way" not in progress.summary(), "a stopped trial is not"
    progress.update(row(2, "running", 2, f1=0.9))
    assert "best dev/f1 0.7 (trial 1), 0.9 under way (trial 2)" in progress.summary()


def test_trials_that_were_over_before_a_resume_do_not_count_into_the_rate():
    clock = Clock()
    progress = Progress(clock)
    progress.begin({"dev/f1": "max"}, num_trials=4)
    for number in range(3):
        progress.update(row(number, "done", f1=0.1))
    progress.update(row(3, "running"))
    clock.now_s = 3600.0
    progress.update(row(3, "done", f1=0.2))
    assert progress.trials_per_hour == pytest.approx(1)


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.123456, "0.1235"), (204524.0, "204524"), (1e-4, "0.0001")])
def test_numbers_have_four_digits(value, text):
    assert show_number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (720, "12 min"), (12600, "3.5 h")])
def test_times_are_rounded(seconds, text):
    assert show_seconds(seconds) == text


def test_short_names_stay_unique():
    assert short_names(["loss.alpha", "student.pooling"]) == {
        "loss.alpha": "alpha",
        "student.pooling": "pooling",
    }
    assert short_names(["a.x", "b.x"]) == {"a.x": "a.x", "b.x": "b.x"}


class Untouchable(dict):
    """Rows that may be looked up and not gone through."""

    def values(self):
        raise AssertionError("an update must not cost more the more trials there are")

    __iter__ = items = values


def test_an_update_does_not_go_through_all_trials():
    progress = Progress(Clock())
    progress.begin({"dev/f1": "max"}, num_trials=1000)
    progress.rows = Untouchable()
    for number in range(1000):
        progress.update(row(number, "running", x=0.5))
        progress.update(row(number, "failed" if number % 10 == 0 else "done", f1=number / 1000))
    assert progress.summary() == "1000 of 1000 done, 0 running, best dev/f1 0.999 (trial 999), 100 failed"
    assert list(progress.varied) == ["x"]
