from __future__ import annotations

import io
import re
import sys
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.screen.live import LiveTable, PlainLines, watching

SWEEP = SimpleNamespace(objectives={"dev/f1": "max"}, trainable="distillation", name="distillation")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watch_of(stream: io.StringIO, clock: Clock) -> PlainLines:
    """Its wall clock begins at ten to midnight."""
    return PlainLines(stream, clock, lambda: datetime(2026, 5, 1, 23, 50) + timedelta(seconds=clock.now_s))


def said(stream: io.StringIO) -> list[str]:
    """Without the times that the lines begin with."""
    return [re.sub(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]


def row(number: int, state: str, epoch: int = 1, f1: float | None = None, **params: object) -> TrialRow:
    metrics = {} if f1 is None else {"dev/f1": f1}
    return TrialRow(number, f"t{number}", state, epoch, 5, metrics, params)


def outcome(rows: list[TrialRow]) -> Outcome:
    return Outcome("distillation-1", "finished", rows, rows[0], "1", "r", "sqlite:///x", {"dev/f1": "max"})


def test_plain_lines_tell_of_every_trial_and_of_its_failure():
    stream = io.StringIO()
    watch = watch_of(stream, Clock())
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
    lines = said(stream)
    assert lines[0] == "distillation-1: 2 trials of distillation"
    assert lines[1] == "trial 0 running: pooling=4"
    assert lines[2] == "trial 0 done after epoch 5 of 5, dev/f1 0.8"
    assert "trial 1 failed after epoch 1 of 5: loss is nan in epoch 1" in lines
    assert lines[-1].startswith("distillation-1 finished: 2 of 2 ended: 1 done, 1 failed; best dev/f1 0.8 (trial 0)")


def test_plain_lines_show_every_epoch_of_a_single_run():
    stream = io.StringIO()
    watch = watch_of(stream, Clock())
    watch.started(SWEEP, "picking-1", 1)
    for epoch in (0, 1, 1, 2):
        watch.trial_update(row(0, "running", epoch, 0.1 * epoch))
    assert [line for line in said(stream) if "epoch" in line] == [
        "trial 0 epoch 1 of 5, dev/f1 0.1",
        "trial 0 epoch 2 of 5, dev/f1 0.2",
    ]


def test_a_sweep_of_long_trials_says_now_and_then_how_it_stands():
    clock, stream = Clock(), io.StringIO()
    watch = watch_of(stream, clock)
    watch.started(SWEEP, "long", 4)
    watch.trial_update(row(0, "running", epoch=0))
    for epoch in range(1, 10):
        clock.now_s += 25.0
        watch.trial_update(row(0, "running", epoch=epoch, f1=0.1 * epoch))
    summaries = [line for line in said(stream) if line.startswith("  ")]
    assert len(summaries) == 3  # after 75, 150 and 225 s
    assert "1 running; best dev/f1 0.9 (trial 0)" in summaries[-1]


def test_each_line_has_its_time_and_the_day_where_it_is_a_new_one():
    stream, clock = io.StringIO(), Clock()
    watch = watch_of(stream, clock)
    for clock.now_s in (0.0, 300.0, 900.0):
        watch.log("something")
    assert stream.getvalue().splitlines() == [
        "2026-05-01 23:50:00 something",
        "23:55:00 something",
        "2026-05-02 00:05:00 something",
    ]


SETTINGS = {
    "loss.alpha": 0.001234,
    "student.dropout": 0.2345,
    "training.learning_rate": 0.0005678,
    "training.batch_size": 12345,
    "training.patience": 777,
}


def drawn(width: int, max_rows: int = 3) -> str:
    """A sweep of 20 trials under way, on a screen of this width."""
    watch = LiveTable(max_rows)
    watch.console = Console(file=io.StringIO(), width=width)
    watch.name = "distillation-1"
    watch.progress.begin({"dev/f1": "max"}, 20)
    for number in range(10):
        watch.trial_update(row(number, "running" if number < 2 else "done", 3, 0.1 * number, **SETTINGS))
    watch.trial_update(row(10, "stopped", 2, 0.5, **SETTINGS))
    watch.console.print(watch.view())
    return watch.console.file.getvalue()


def test_the_live_table_shows_running_trials_where_not_all_fit():
    text = drawn(110)
    assert text.count("running") == 2 + 1, "two rows, and the words above them"
    assert "3/5" in text
    assert "alpha" in text
    assert "9 of 20 ended: 8 done, 1 stopped; 2 running" in text
    assert "best dev/f1 0.9 (trial 9)" in text
    assert "━" in text


@pytest.mark.parametrize("width", [40, 60, 80, 110, 200])
def test_no_setting_of_the_live_table_loses_digits(width):
    text = drawn(width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    for key, value in SETTINGS.items():
        heading = key.rpartition(".")[2]
        table, _, note = text.partition("no room for")
        assert (str(value) in table) == (heading in table), "whole, or not at all"
        assert heading in table or heading in note.replace("\n", " ")


def test_a_failure_is_a_line_above_the_table():
    watch = LiveTable(max_rows=3)
    watch.console = Console(file=io.StringIO(), width=60)
    watch.trial_update(row(0, "running", **SETTINGS))
    failed = row(0, "failed", 3, **SETTINGS)
    failed.reason = "FloatingPointError: loss is nan in epoch 3: lower training.learning_rate (0.002)"
    watch.trial_update(failed)
    assert f"trial 0 failed after epoch 3: {failed.reason}" in watch.console.file.getvalue()
    watch.console.print(watch.view())
    assert watch.console.file.getvalue().count("FloatingPointError") == 1


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_redraw_gets_plain_lines(term, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    with watching() as watch:
        watch.started(SWEEP, "distillation-1", 2)
        watch.trial_update(row(0, "running", **SETTINGS))
    assert "trial 0 running: alpha=0.001234" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("seconds_a_trial", [0.1, 60.0])
def test_plain_lines_of_many_trials_are_few(seconds_a_trial):
    """Failures and new bests, and now and then how the whole sweep stands."""
    stream, clock = io.StringIO(), Clock()
    watch = watch_of(stream, clock)
    watch.started(SWEEP, "distillation-1", 1000)
    for number in range(1000):
        clock.now_s += seconds_a_trial
        f1 = 0.9 if number == 500 else 0.5
        watch.trial_update(row(number, "running", 0))
        watch.trial_update(row(number, "running", 1, f1))
        watch.trial_update(row(number, "failed" if number == 700 else "done", 5, f1))
    lines = said(stream)
    about_trials = [line for line in lines if line.startswith("trial")]
    assert [line.split(",")[0] for line in about_trials] == [
        "trial 0 done after epoch 5 of 5",
        "trial 500 done after epoch 5 of 5",
        "trial 700 failed after epoch 5 of 5",
    ]
    summaries = [line for line in lines if line.startswith("  ")]
    assert len(summaries) == (1000 if seconds_a_trial == 60 else 4)  # every 30 s of the 100 s
    assert "best dev/f1 0.9 (trial 500)" in summaries[-1]
    assert "left" in summaries[0]
