from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from seisweep.watch import (
    LiveTable,
    Outcome,
    PlainLines,
    Progress,
    TrialRow,
    short_names,
    show_number,
    show_seconds,
)

SWEEP = SimpleNamespace(objectives={"dev/f1": "max"}, trainable="distillation", name="distillation")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def row(number: int, state: str, epoch: int = 1, f1: float | None = None, **params: object) -> TrialRow:
    metrics = {} if f1 is None else {"dev/f1": f1}
    return TrialRow(number, f"t{number}", state, epoch, 5, metrics, params)


def outcome(rows: list[TrialRow]) -> Outcome:
    return Outcome("distillation-1", "finished", rows, rows[0], "1", "r", "sqlite:///x", {"dev/f1": "max"})


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


def test_plain_lines_tell_of_every_trial_and_of_its_failure():
    stream = io.StringIO()
    watch = PlainLines(stream, Clock())
    rows = [
        row(0, "running", 0, pooling=4),
        row(0, "running", 1, 0.4),
        row(0, "done", 5, 0.8),
        row(1, "failed", 1),
    ]
    rows[-1].reason = "loss is nan in epoch 1"
    watch.started(SWEEP, "distillation-1", 2)
    for one in rows:
        watch.trial_update(one)
    watch.finished(outcome(rows))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "distillation-1: 2 trials of distillation"
    assert lines[1] == "trial 0 running: pooling=4"
    assert lines[2] == "trial 0 done after epoch 5 of 5, dev/f1 0.8"
    assert "trial 1 failed after epoch 1 of 5: loss is nan in epoch 1" in lines
    assert lines[-1].startswith("distillation-1 finished: 2 of 2 done")


def test_plain_lines_show_every_epoch_of_a_single_run():
    stream = io.StringIO()
    watch = PlainLines(stream, Clock())
    watch.started(SWEEP, "picking-1", 1)
    for epoch in (0, 1, 1, 2):
        watch.trial_update(row(0, "running", epoch, 0.1 * epoch))
    assert [line for line in stream.getvalue().splitlines() if "epoch" in line] == [
        "trial 0 epoch 1 of 5, dev/f1 0.1",
        "trial 0 epoch 2 of 5, dev/f1 0.2",
    ]


def test_the_live_table_shows_running_trials_where_not_all_fit():
    watch = LiveTable(max_rows=3)
    watch.title = "distillation-1"
    watch.progress.begin({"dev/f1": "max"}, 20)
    for number in range(10):
        watch.trial_update(row(number, "running" if number < 2 else "done", 3, 0.1 * number, **{"loss.alpha": 0.5}))
    console = Console(file=io.StringIO(), width=100)
    console.print(watch.table())
    text = console.file.getvalue()
    assert text.count("running") == 2 + 1  # two rows and the summary
    assert "3/5" in text
    assert "alpha" in text
    assert "best dev/f1 0.9 (trial 9)" in text


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
