"""Results come from MLflow alone: tables, curves, files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import seisweep
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.cli import run
from seisweep.commands import results as results_command
from seisweep.engine.outcome import Outcome
from seisweep.record.ledger import Ledger
from seisweep.record.mlflow_pages import links
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store


@pytest.fixture
def outcome(engine_home: Home, toy_sweep, tmp_path: Path) -> Outcome:
    """Three trials: one done, one better and done, one failed though it was the best."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    sweep = toy_sweep(objectives={"dev/f1": "max", "int8/bytes": "min"})
    uri = engine_home.mlflow_uri
    tracker = Tracker(own_store(engine_home), sweep, "toy-1", "id", {"versions": "torch 2"})
    tracker.begin("a note", {})
    for number, (value, state) in enumerate([(0.5, "done"), (0.7, "done"), (0.9, "failed")]):
        folder = tmp_path / str(number)
        (folder / "artifacts").mkdir(parents=True)
        (folder / "artifacts" / "model.txt").write_text(str(number))
        tracker.trial_begins(ledger.begin_trial(number, {"x": value, "norm": "group"}, 3), {"x": value})
        for epoch in (1, 2):
            tracker.report(ledger.report(number, {"epoch": epoch, "dev/f1": value * epoch / 2}))
        ledger.end_trial(number, state, "bad luck" if state == "failed" else "")
        tracker.trial_ends(ledger.trials[number], folder)
    tracker.end("finished", ledger.trials[1])
    return Outcome("toy-1", "finished", [], None, tracker.experiment_id, tracker.parent_run_id, uri, sweep.objectives)


def test_trials_as_a_table(outcome):
    trials = seisweep.load("toy-1", outcome.tracking_uri).trials
    assert list(trials.index) == [0, 1, 2]
    assert list(trials["state"]) == ["done", "done", "failed"]
    assert list(trials["x"]) == [0.5, 0.7, 0.9]
    assert list(trials["norm"]) == ["group"] * 3
    assert list(trials["dev/f1"]) == [0.5, 0.7, 0.9]
    assert list(trials["epoch"]) == [2, 2, 2]
    assert list(trials["reason"]) == ["", "", "bad luck"]


def test_the_best_has_finished(outcome):
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert loaded.best() == 1
    assert loaded.objectives == {"dev/f1": "max", "int8/bytes": "min"}
    assert loaded.params == ["norm", "x"]


def test_curves(outcome):
    curves = results.load("toy-1", outcome.tracking_uri).curves("dev/f1")
    assert curves.loc[(1, 1), "dev/f1"] == pytest.approx(0.35)
    assert curves.loc[1].index.tolist() == [1, 2]
    everything = results.load("toy-1", outcome.tracking_uri).curves()
    assert set(everything.columns) == {"dev/f1"}


def test_files_and_configuration(outcome):
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert (loaded.artifacts(1) / "model.txt").read_text() == "1"
    assert loaded.config(1) == {"x": 0.7}
    assert loaded.tags(1)["versions"] == "torch 2"
    with pytest.raises(ValueError, match="toy-1 has no trial 7; it has 3"):
        loaded.artifacts(7)


def test_sweeps_of_a_store(outcome):
    table = results.sweeps(outcome.tracking_uri)
    assert table.loc[0, ["name", "kind", "state", "best_trial", "note"]].tolist() == [
        "toy-1",
        "toy",
        "finished",
        1,
        "a note",
    ]
    assert table.loc[0, "best"] == 0.7


def test_an_unknown_sweep_gets_the_nearest(outcome):
    with pytest.raises(ValueError, match=r"no sweep named toy-2 in .*; did you mean toy-1\?"):
        results.load("toy-2", outcome.tracking_uri)


def test_no_home_no_store(home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match="holds no sweeps yet"):
        results.load("toy-1")
    assert not home.exists()


def pages_of(outcome: Outcome) -> dict[str, str]:
    return links("toy-1", outcome.objectives, outcome.experiment_id, outcome.parent_run_id, outcome.tracking_uri)


def test_links_name_the_trials(outcome):
    paths = pages_of(outcome)
    assert paths["charts"] == f"{paths['trials']}&compareRunsMode=CHART"
    assert f"/{outcome.parent_run_id}?" in paths["sweep"]
    best = results.load("toy-1", outcome.tracking_uri).runs[1].info.run_id
    assert json.dumps(best).strip('"') in paths["compare"]
    assert all("workflowType=machine_learning" in path for path in paths.values()), "or pages on language models open"


def test_the_saved_view_of_the_table_shows_objectives_and_parameters(outcome):
    start = f"/#/experiments/{outcome.experiment_id}/runs?viewStateShareKey=toy-1&"
    assert pages_of(outcome)["trials"].startswith(start)
    experiment = MlflowClient(outcome.tracking_uri).get_experiment(outcome.experiment_id)
    view = json.loads(experiment.tags["mlflow.sharedViewState.toy-1"])
    assert view["searchFilter"] == "tags.sweep = 'toy-1' and tags.role = 'trial'"
    assert view["orderByAsc"] is False
    scores = ["metrics.`dev/f1`", "metrics.`int8/bytes`"]
    expected = ["tags.`state`", *scores, "params.`x`", "tags.`int8/verdict`"]
    assert view["selectedColumns"] == expected, "and nothing else"


def test_a_description_that_cannot_be_read_costs_its_own_line_alone(outcome, engine_home, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    engine_home.sweep_dir("broken").mkdir(parents=True)
    engine_home.sweep_file("broken").write_text("")
    assert run(["sweeps", "--format", "csv"]) == 0
    listed = capsys.readouterr()
    assert "toy-1" in listed.out
    assert listed.err.count("\n") == 1
    assert f"{engine_home.sweep_file('broken')} cannot be read" in listed.err


def test_a_sweep_of_another_store_does_not_get_the_state_of_a_folder_here(outcome, engine_home, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    MlflowClient(outcome.tracking_uri).set_tag(outcome.parent_run_id, "state", "running")
    engine_home.sweep_dir("toy-1").mkdir(parents=True)
    engine_home.sweep_file("toy-1").write_text(json.dumps({"profile": {}, "store": "http://elsewhere:5000"}))
    (engine_home.sweep_dir("toy-1") / "ledger.jsonl").write_text(
        '{"event": "session", "time_ms": 1}\n{"event": "sweep_end", "state": "failed", "time_ms": 2}\n'
    )
    assert run(["sweeps", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "running"


def test_both_latencies_and_the_verdict_stand_beside_the_trials(engine_home, toy_sweep, tmp_path, monkeypatch, capsys):
    """A trial of an older sweep, whose gate said no such word, has none."""
    monkeypatch.setenv("SEISWEEP_HOME", str(engine_home.root))
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = Tracker(own_store(engine_home), toy_sweep(), "toy-1", "id", {})
    tracker.begin("", {})
    for number, word in enumerate(("accepted, slower", None)):
        (folder := tmp_path / str(number)).mkdir()
        (folder / "tags.json").write_text(json.dumps({"int8/verdict": word} if word else {}))
        tracker.trial_begins(ledger.begin_trial(number, {"x": 0.5}, 0), {})
        latencies = {"fp32/latency_ms": 2.5, "int8/latency_ms": 3.25}
        tracker.report(ledger.report(number, {"epoch": 1, "final": 1, "dev/f1": 0.5, **latencies}))
        ledger.end_trial(number, "done")
        tracker.trial_ends(ledger.trials[number], folder)
    tracker.end("finished", ledger.trials[0])
    assert run(["results", "toy-1", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["int8/verdict"] for row in rows] == ["accepted, slower", None]
    assert run(["results", "toy-1"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()[:3]
    assert re.search(r"fp32/latency_ms +int8/latency_ms +int8/verdict", heading)
    assert re.search(r"2\.5 +3\.25 +accepted, slower", first)
    assert "accepted" not in second


def test_why_trials_ended_early_is_said_once_for_all_that_ended_so():
    def row(trial, reason):
        return {"trial": trial, "state": "stopped", "reason": reason}

    rows = [row(0, ""), row(3, "weak"), row(7, "bad luck"), row(1, "weak")]
    assert results_command._reasons(rows) == ["trials 3, 1: weak", "trial 7: bad luck"]
    many = results_command._reasons([row(number, f"reason {number}") for number in range(9)])
    assert many[4:] == ["trial 4: reason 4", "and 4 more reasons"]
