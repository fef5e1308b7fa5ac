"""A score stands with its interval, a teacher beside its students, and who cannot be told apart is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from html_page import Page
from seisweep import results
from seisweep.cli import run
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.report import render
from seisweep.results.certainty import best_two, counts_of, lines
from seisweep.screen.ending import closing_lines, trial_rows
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store
from seisweep.statistics.certainty import NONE_KEPT

from trainables.evaluation.counts import COUNTS_FILE, EventCounts, write_counts
from trainables.evaluation.event_scores import picking_intervals

TEACHER = {"teacher/f1": 0.91, "teacher/f1_low": 0.8, "teacher/f1_high": 0.97}

Write = Callable[..., Outcome]


def counts(true: int, num_events: int = 13) -> EventCounts:
    """Events of 40 arrivals; of each about so many were found, no two alike."""
    found_N = true + np.arange(num_events) % 5 - 2
    counts_NPF = np.stack([np.stack([found_N, np.full(num_events, 2), 40 - found_N], axis=1)] * 2, axis=1)
    return EventCounts.of_events([f"event {n:02d}" for n in range(num_events)], counts_NPF, ["P", "S"])


@pytest.fixture
def write(engine_home: Home, toy_sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A sweep by what its trials found; `has_counts` as older ones have none."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))

    def written(*trials: EventCounts, has_counts: bool = True) -> Outcome:
        sweep = toy_sweep(objectives={"dev/f1": "max"})
        ledger = Ledger(tmp_path / "ledger.jsonl")
        tracker = Tracker(own_store(engine_home), sweep, "toy-1", "id", {})
        tracker.begin("", {})
        for number, found in enumerate(trials):
            files = tmp_path / str(number) / "artifacts"
            files.mkdir(parents=True)
            tracker.trial_begins(ledger.begin_trial(number, {"x": number / 10}, 0), {})
            metrics = {"epoch": 1, "dev/f1": found.f1()} | TEACHER
            tracker.report(ledger.report(number, metrics))
            if has_counts:
                write_counts(files / COUNTS_FILE, {"dev": found})
                metrics |= picking_intervals(found, "dev")
            tracker.report(ledger.report(number, metrics | {"final": 1}))
            ledger.end_trial(number, "done")
            tracker.trial_ends(ledger.trials[number], files.parent)
        best = max(ledger.trials.values(), key=lambda record: record.metrics["dev/f1"])
        tracker.end("finished", best)
        rows = [TrialRow(n, str(n), "done", 1, 1, record.metrics, record.params) for n, record in ledger.trials.items()]
        ids = tracker.experiment_id, tracker.parent_run_id, engine_home.mlflow_uri
        return Outcome("toy-1", "finished", rows, rows[best.number], *ids, sweep.objectives)

    return written


def test_results_show_each_score_with_its_interval_and_the_teacher_first(write, capsys):
    write(counts(30), counts(33))
    assert run(["results", "toy-1"]) == 0
    out, err = capsys.readouterr()
    headings, teacher, first, *_ = out.splitlines()
    assert "dev/f1 95 %" in headings
    assert teacher.split()[:5] == ["teacher", "0.91", "0.800", "..", "0.970"]
    best = results.load("toy-1").runs[1].data.metrics
    assert f"{best['dev/f1_low']:.3f} .. {best['dev/f1_high']:.3f}" in first
    assert "bootstrap over dev events" in err


def test_the_best_two_that_cannot_be_told_apart_are_said_to_be_so(write, capsys):
    one, other = counts(31), counts(31)
    for phase in ("P", "S"):
        other.true[phase][:6] += 3
        other.missed[phase][:6] -= 3
        other.true[phase][6:] -= 2
        other.missed[phase][6:] += 2
    outcome = write(one, other, counts(5))
    run(["results", "toy-1"])
    expected = "the best two, trials 1 and 0, cannot be told apart on these 13 dev events: dev/f1 differs by 0.00"
    assert expected in capsys.readouterr().err
    assert any(line.startswith(expected) for line in closing_lines(outcome))
    assert expected[1:] in Page(render(results.load("toy-1"))).text


def test_the_best_that_is_better_on_every_event_is_told_apart(write):
    write(counts(30), counts(33))
    (words,) = best_two(results.load("toy-1"))
    assert words.startswith(
        "the best two, trials 1 and 0, can be told apart on these 13 dev events: dev/f1 differs by 0.04"
    )


def test_a_sweep_without_counts_shows_no_interval_and_says_so(write, capsys):
    outcome = write(counts(30), counts(33), has_counts=False)
    assert run(["results", "toy-1"]) == 0
    out, err = capsys.readouterr()
    assert "%" not in out.replace("0.800", "")
    assert NONE_KEPT in err
    assert NONE_KEPT in closing_lines(outcome)
    assert NONE_KEPT[1:] in Page(render(results.load("toy-1"))).text
    assert counts_of(results.load("toy-1"), 0) == {}


def test_the_end_of_a_sweep_has_the_same_table(write):
    rows = trial_rows(write(counts(30), counts(33)).rows, ["dev/f1"])
    assert [row["trial"] for row in rows] == ["teacher", 0, 1]
    assert rows[0]["dev/f1 95 %"] == "0.800 .. 0.970"
    assert list(rows[1])[:5] == ["trial", "state", "epoch", "dev/f1", "dev/f1 95 %"]
    assert rows[1]["dev/f1 95 %"] != rows[2]["dev/f1 95 %"]


def test_a_report_has_the_teacher_beside_its_students(write):
    write(counts(30), counts(33))
    page = Page(render(results.load("toy-1"))).text
    assert "Its teacher has 0.91 on the same windows (0.800 .. 0.970)." in page
    assert "teacher" in page.partition("All trials by dev/f1")[2]


def test_the_sweeps_own_run_has_the_teachers_scores(write):
    write(counts(30))
    assert results.load("toy-1").parent.data.metrics["teacher/f1"] == 0.91


@pytest.mark.parametrize("trials", [1, 2])
def test_one_was_chosen_of_those_that_were_stopped_early_too(write, trials, monkeypatch):
    outcome = write(*[counts(30 - number) for number in range(trials)])
    sweep = results.load("toy-1", outcome.tracking_uri)
    monkeypatch.setattr(type(sweep), "finished", lambda _: [0])
    said = lines(sweep, ["dev/f1"])[0]
    assert ("the best of several trials was chosen on these events" in said) == (trials > 1)
