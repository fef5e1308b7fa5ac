"""One thing that MLflow refuses costs nothing else: it is renamed or left out, tagged on its own run, and said once."""

from __future__ import annotations

import json

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

LONG = "dev/" + "long_" * 60


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin_session()
    return ledger


def tracker(home: Home, sweep, **facts: str) -> Tracker:
    made = Tracker(own_store(home), sweep, "toy-1", "id-of-toy-1", facts)
    made.begin("", {"sweep": sweep.model_dump(mode="json")}, 2)
    return made


def write(ledger: Ledger, writer: Tracker, number: int, params: dict, *reports: dict, reason: str = "") -> None:
    writer.trial_begins(ledger.begin_trial(number, params, 0), {"x": 0.5})
    for report in reports:
        writer.report(ledger.report(number, report))
    ledger.end_trial(number, "failed" if reason else "done", reason)
    writer.trial_ends(ledger.trials[number], None)


ODD = {"epoch": 1, "dev/f1": 0.5, "recall@5": 0.1, "mAP[0.5]": 0.2, LONG: 0.3}
PLAIN = {"epoch": 1, "dev/f1": 0.6, "dev/loss": 1.0}


def test_odd_names_cost_no_other_trial_and_none_of_their_own(engine_home, toy_sweep, ledger):
    writer = tracker(engine_home, toy_sweep(), user="a\ud800b")
    write(ledger, writer, 0, {"x": 0.5, "lr@0": 0.1}, ODD, ODD | {"epoch": 2, "recall@5": 0.15, "recall_5": 9.0})
    write(ledger, writer, 1, {"x": 0.7}, PLAIN)
    writer.end("finished", ledger.trials[1])
    assert writer.lacks == writer.trouble == ""
    sweep = results.load("toy-1", engine_home.mlflow_uri)
    assert [sweep.state(trial) for trial in (0, 1)] == ["done", "done"]
    assert list(sweep.curves("recall_5").loc[0, "recall_5"]) == [0.1, 0.15]
    assert sweep.runs[0].data.metrics["mAP_0.5_"] == 0.2
    renamed = json.loads(sweep.tags(0)["renamed"])
    assert renamed["recall_5"] == "recall@5"
    assert {LONG, "recall_5"} <= set(renamed.values()), "the one that came second is told apart"
    assert sorted(sweep.params) == ["lr@0", "x"], "settings are read back by their own names"
    assert sweep.trials.loc[0, "lr@0"] == 0.1
    assert "renamed" not in sweep.tags(1)
    (line,) = writer.refused
    assert line.startswith("names that MLflow refuses and that were changed (tag renamed): 5, as 'lr@0', there 'lr_0'")


def test_an_odd_objective_is_one_that_results_find(engine_home, toy_sweep, ledger):
    writer = tracker(engine_home, toy_sweep(objectives={"recall@5": "max"}))
    write(ledger, writer, 0, {"x": 0.5}, {"epoch": 1, "recall@5": 0.1})
    write(ledger, writer, 1, {"x": 0.7}, {"epoch": 1, "recall@5": 0.3})
    writer.end("finished", ledger.trials[1])
    sweep = results.load("toy-1", engine_home.mlflow_uri)
    assert sweep.objectives == {"recall_5": "max"}
    assert sweep.best() == 1
    assert sweep.parent.data.metrics["recall_5"] == 0.3


@pytest.mark.parametrize("remote", [False, True])
def test_an_absurd_step_and_half_a_character_are_written(engine_home, toy_sweep, ledger, remote, monkeypatch):
    """Also as a server gets them, whose messages hold no such numbers."""
    if remote:
        batch = MlflowClient.log_batch

        def through_messages(client, run_id, metrics=(), params=(), tags=(), **others):
            for entity in (*metrics, *params, *tags):
                entity.to_proto().SerializeToString()
            return batch(client, run_id, metrics=metrics, params=params, tags=tags, **others)

        monkeypatch.setattr(MlflowClient, "log_batch", through_messages)
    writer = tracker(engine_home, toy_sweep())
    write(ledger, writer, 0, {"x": "\ud800"}, {"epoch": 1e30, "dev/f1": 0.5}, reason="bad byte \udcff in a file\0")
    write(ledger, writer, 1, {"x": 0.7}, PLAIN)
    writer.end("finished", ledger.trials[1])
    assert writer.lacks == ""
    sweep = results.load("toy-1", engine_home.mlflow_uri)
    assert [sweep.state(trial) for trial in (0, 1)] == ["failed", "done"]
    assert sweep.tags(0)["reason"] == "bad byte ? in a file\ufffd"
    assert list(sweep.curves("dev/f1").loc[0].index) == [2**63 - 1]


def test_what_is_refused_even_so_is_left_out_alone(engine_home, toy_sweep, ledger, monkeypatch):
    """A store with rules of its own."""
    batch = MlflowClient.log_batch

    def strict(client, run_id, metrics=(), params=(), tags=(), **others):
        if any(entity.key in ("dev/loss", "gate") for entity in (*metrics, *params, *tags)):
            raise MlflowException("no such names here", INVALID_PARAMETER_VALUE)
        return batch(client, run_id, metrics=metrics, params=params, tags=tags, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", strict)
    writer = tracker(engine_home, toy_sweep())
    write(ledger, writer, 0, {"x": 0.5, "gate": 1}, PLAIN, PLAIN | {"epoch": 2})
    write(ledger, writer, 1, {"x": 0.5}, {"epoch": 1, "dev/f1": 0.6})
    writer.end("finished", None)
    sweep = results.load("toy-1", engine_home.mlflow_uri)
    assert sweep.runs[0].data.metrics == {"dev/f1": 0.6}
    assert len(sweep.curves("dev/f1").loc[0]) == 2
    assert sweep.runs[0].data.params == {"x": "0.5"}
    assert sweep.tags(0)["not_recorded"].count("metric dev/loss: no such names here") == 1
    assert "param gate: no such names here" in sweep.tags(0)["not_recorded"]
    assert "not_recorded" not in sweep.tags(1)
    assert (writer.lacks, writer.behind) == ("", 0)
    (line,) = writer.refused
    assert line.startswith("left out, because MLflow refuses it (tag not_recorded): 2, as trial 0, param gate")


def test_a_run_that_was_deleted_in_mlflow_costs_no_other(engine_home, toy_sweep, ledger):
    writer = tracker(engine_home, toy_sweep())
    client = MlflowClient(tracking_uri=engine_home.mlflow_uri)
    writer.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {})
    run_id = client.search_runs([writer.experiment_id], "tags.trial = '0'")[0].info.run_id
    client.delete_run(run_id)
    for epoch in (1, 2):
        writer.report(ledger.report(0, {"epoch": epoch, **{f"m{n}": float(n) for n in range(500)}}))
    ledger.end_trial(0, "done")
    writer.trial_ends(ledger.trials[0], None)
    write(ledger, writer, 1, {"x": 0.5}, PLAIN)
    writer.end("finished", ledger.trials[1])
    assert results.load("toy-1", engine_home.mlflow_uri).best() == 1
    assert "its run was deleted in MLflow" in writer.refused[0]


def test_a_server_that_refuses_a_fact_of_a_new_run_gets_the_run(engine_home, toy_sweep, ledger, monkeypatch):
    create = MlflowClient.create_run

    def strict(client, experiment_id, tags, **others):
        if "user" in tags:
            raise MlflowException("nobody is called so", INVALID_PARAMETER_VALUE)
        return create(client, experiment_id, tags=tags, **others)

    monkeypatch.setattr(MlflowClient, "create_run", strict)
    writer = tracker(engine_home, toy_sweep(), user="somebody")
    write(ledger, writer, 0, {"x": 0.5}, PLAIN)
    writer.end("finished", ledger.trials[0])
    sweep = results.load("toy-1", engine_home.mlflow_uri)
    assert sweep.best() == 0
    assert "nobody is called so" in sweep.tags(0)["not_recorded"]
