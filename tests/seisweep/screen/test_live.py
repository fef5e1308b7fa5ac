from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.screen.live import LiveTable, PlainLines

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


@pytest.mark.parametrize("seconds_a_trial", [0.1, 60.0])
def test_plain_lines_of_many_trials_are_few(seconds_a_trial):
    """Failures and new bests, and now and then how the whole sweep stands."""
    stream, clock = io.StringIO(), Clock()
    watch = PlainLines(stream, clock)
    watch.started(SWEEP, "distillation-1", 1000)
    for number in range(1000):
        clock.now_s += seconds_a_trial
        f1 = 0.9 if number == 500 else 0.5
        watch.trial_update(row(number, "running", 0))
        watch.trial_update(row(number, "running", 1, f1))
        watch.trial_update(row(number, "failed" if number == 700 else "done", 5, f1))
    lines = stream.getvalue().splitlines()
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
