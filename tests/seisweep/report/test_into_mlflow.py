"""What a finished sweep's own run in MLflow holds and says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.engine.outcome import Outcome
from seisweep.launching import reporting
from seisweep.record import tags
from seisweep.report import into_mlflow
from seisweep.report.into_mlflow import add_report, described
from seisweep.settings.home import Home


@pytest.fixture
def own(recorded: Home, tmp_path: Path) -> str:
    """A copy of the simulated sweeps, to write into; its store."""
    home = Home(tmp_path / "own")
    shutil.copytree(recorded.root, home.root)
    home.settle()
    return home.mlflow_uri


def parent_of(name: str, uri: str):
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(results.load(name, uri).parent.info.run_id)
    return run, sorted(info.path for info in client.list_artifacts(run.info.run_id))


def test_a_sweeps_run_holds_report_charts_and_tables_and_says_what_was_found(own, monkeypatch):
    client, run_id = MlflowClient(tracking_uri=own), results.load("many-1", own).parent.info.run_id
    client.set_tag(run_id, tags.NOTE, "my note")
    client.delete_tag(run_id, tags.OWN_NOTE)  # which a sweep of an earlier version has not
    add_report(results.load("many-1", own))
    run, files = parent_of("many-1", own)
    assert {"report.html", "charts", "tables", "sweep.json"} <= set(files)
    sweep = results.load("many-1", own)
    assert (sweep.files / "charts" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((sweep.files / "tables" / "trials.csv").read_text().splitlines()) == 1 + len(sweep.runs)
    assert "my note" in (sweep.files / "report.html").read_text()
    words, _, note = run.data.tags[tags.NOTE].partition("\n\n")
    assert words.startswith(f"Trial {sweep.best()} is the best of 12: dev/f1 0.908.")
    assert note == run.data.tags[tags.OWN_NOTE] == "my note"
    assert results.sweeps(own).set_index("name").loc["many-1", "note"] == "my note"
    monkeypatch.setattr(into_mlflow, "write_folder", lambda *_: pytest.fail("nothing is new"))
    add_report(sweep)


def test_a_description_has_three_sentences(own, monkeypatch):
    sentences = [f"Sentence {number}." for number in range(5)]
    sweep = results.load("many-1", own)
    plain = into_mlflow.found(sweep)
    monkeypatch.setattr(into_mlflow, "found", lambda sweep: plain.__class__(**{**vars(plain), "sentences": sentences}))
    assert described(sweep, "a note") == "Sentence 0. Sentence 1. Sentence 4.\n\na note", "the verdict stands last"


def test_of_a_sweep_that_only_failed_it_says_so(own):
    add_report(results.load("none-1", own))
    assert parent_of("none-1", own)[0].data.tags[tags.NOTE].startswith("No trial has finished (2 failed).")


def outcome_of(uri: str, **fields: object) -> Outcome:
    sweep = results.load("many-1", uri)
    info = sweep.parent.info
    named = {"state": "finished", "rows": [], "best": None} | fields
    return Outcome("many-1", **named, experiment_id=info.experiment_id, parent_run_id=info.run_id, tracking_uri=uri,
                   objectives=sweep.objectives)  # fmt: skip


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_what_keeps_the_report_away_is_one_line_and_costs_nothing(own, monkeypatch, capsys, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(into_mlflow, "write_folder", fail)
    outcome = outcome_of(own)
    assert reporting.with_report(outcome) is outcome
    said = capsys.readouterr().err
    assert said.startswith("no report in MLflow: ")
    assert said.count("\n") == 1
    assert "`seisweep resume many-1` writes it" in said
    assert "report.html" not in parent_of("many-1", own)[1]


@pytest.mark.parametrize("fields", [{"state": "interrupted"}, {"lacks_in_mlflow": "2 trials"}])
def test_a_sweep_that_is_not_over_or_not_recorded_gets_none_yet(own, fields):
    reporting.with_report(outcome_of(own, **fields))
    assert "report.html" not in parent_of("many-1", own)[1]
