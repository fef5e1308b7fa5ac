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


def begun(clock: Clock, num_trials: int | None = 4) -> Progress:
    progress = Progress(clock)
    progress.begin({"dev/f1": "max"}, num_trials)
    return progress


def train(progress: Progress, clock: Clock, number: int, epochs: int, state: str = "done", each_s: float = 10) -> None:
    """A trial from its beginning to its end."""
    for epoch in range(epochs + 1):
        clock.now_s += each_s if epoch else 0
        progress.update(row(number, "running", epoch, 0.5))
    progress.update(row(number, state, epochs, 0.8))


def test_done_counts_what_is_done():
    progress = begun(Clock(), num_trials=12)
    states = ["done"] * 3 + ["stopped", "failed", "running", "running", "pending"]
    for number, state in enumerate(states):
        progress.update(row(number, state, f1=float("nan") if state == "failed" else 0.5))
    assert progress.counts_in_words() == "5 of 12 ended: 3 done, 1 stopped, 1 failed; 2 running"


def test_what_ends_alike_is_said_in_short():
    progress = begun(Clock(), num_trials=None)
    progress.update(row(0, "done"))
    assert progress.counts_in_words() == "1 done"
    progress.update(row(1, "running"))
    assert progress.counts_in_words() == "1 done; 1 running"


def test_the_time_left_is_at_most_that_of_all_epochs_until_a_trial_has_ended():
    clock = Clock()
    progress = begun(clock)
    assert progress.seconds_left() is None
    assert progress.time_in_words() == "0:00 elapsed"
    progress.update(row(0, "running", 0))
    clock.now_s = 10.0
    progress.update(row(0, "running", 1))
    assert progress.seconds_left() == pytest.approx((4 + 3 * 5) * 10)
    assert progress.time_in_words() == "0:10 elapsed, at most 3 min left"


def test_the_time_left_learns_how_many_epochs_trials_get():
    clock = Clock()
    progress = begun(clock)
    train(progress, clock, 0, epochs=2, state="stopped")
    assert progress.seconds_left() == pytest.approx(3 * 2 * 10)
    assert progress.time_in_words() == "0:20 elapsed, about 60 s left"
    progress.update(row(1, "running", 0))
    assert progress.seconds_left() == pytest.approx(3 * 2 * 10)
    for epoch in (1, 2, 3):
        clock.now_s += 10
        progress.update(row(1, "running", epoch))
    assert progress.seconds_left() == pytest.approx((2 + 2 * 2) * 10), "one that got further may get all of its epochs"


def test_the_time_left_learns_the_pace_of_the_latest_epochs():
    clock = Clock()
    progress = begun(clock, num_trials=100)
    for number in range(20):
        train(progress, clock, number, epochs=5, each_s=100)
    slow_s = progress.seconds_left()
    for number in range(20, 32):
        train(progress, clock, number, epochs=5, each_s=1)
    assert slow_s == pytest.approx(80 * 5 * 100)
    assert progress.seconds_left() == pytest.approx(68 * 5 * 1, rel=0.01)


def test_a_silence_makes_the_time_left_longer():
    clock = Clock()
    progress = begun(clock)
    train(progress, clock, 0, epochs=5)
    before_s = progress.seconds_left()
    clock.now_s += 1000
    assert progress.seconds_left() > 10 * before_s


def test_trials_that_report_no_epochs_are_counted_by_the_hour():
    clock = Clock()
    progress = begun(clock)
    progress.update(TrialRow(0, "t0", "running"))
    clock.now_s = 60.0
    progress.update(TrialRow(0, "t0", "done"))
    assert progress.trials_per_hour == pytest.approx(60)
    assert progress.seconds_left() == pytest.approx(180)
    assert progress.time_in_words() == "1:00 elapsed, about 3 min left"


def test_the_bar_counts_trials_under_way_by_their_epochs():
    progress = begun(Clock())
    progress.update(row(0, "done", 5))
    progress.update(row(1, "running", 2))
    assert progress.share_over == pytest.approx((1 + 2 / 5) / 4)
    assert begun(Clock(), None).share_over == 0


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
    assert "running:" not in progress.summary(), "a stopped trial is not"
    progress.update(row(2, "running", 2, f1=0.9))
    assert "best dev/f1 0.7 (trial 1), running: 0.9 (trial 2)" in progress.summary()


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
    assert progress.summary() == (
        "1000 of 1000 ended: 900 done, 100 failed; best dev/f1 0.999 (trial 999); 0:00 elapsed"
    )
    assert list(progress.varied) == ["x"]
