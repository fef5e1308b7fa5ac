"""What fills MLflow's pages of data sets and models, once, whatever happens in between."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pytest
from mlflow.tracking import MlflowClient
from seisweep.record import mlflow_answers, writing_line
from seisweep.record.data_of_trial import inputs_of
from seisweep.record.ledger import Ledger
from seisweep.record.mlflow_store import mlflow_asks
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

CONFIG = {"data": {"dataset": "/archive/ETHZ"}}
FACTS = {"dataset": "/archive/ETHZ", "data_fingerprint": "f00d"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())
    monkeypatch.setattr(writing_line, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(writing_line, "LONGEST_PAUSE_S", 0.0)


def doubler(file: Path) -> Path:
    """A network that doubles a window."""
    like = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3, 8]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "doubler", like[:1], like[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), file)
    return file


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "checkpoint" / "artifacts").mkdir(parents=True)
    for name in ("model_fp32.onnx", "model_int8.onnx"):
        doubler(tmp_path / "checkpoint" / "artifacts" / name)
    return tmp_path / "checkpoint"


@pytest.fixture
def client(engine_home: Home) -> MlflowClient:
    return MlflowClient(tracking_uri=engine_home.mlflow_uri)


def begun(home: Home, sweep, ledger: Ledger) -> Tracker:
    tracker = Tracker(own_store(home), sweep, "toy.1", "id-of-toy-1", FACTS, best_apart=True)
    tracker.begin("", {})
    if 0 not in ledger.trials:
        tracker.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), CONFIG)
        for values in ({"epoch": 1}, {"epoch": 2}, {"epoch": 2, "final": 1}):
            tracker.report(ledger.report(0, values | {"dev/f1": values["epoch"] / 10}))
        ledger.end_trial(0, "done")
    else:
        tracker.trial_begins(ledger.trials[0], CONFIG, list(ledger.reports({0})))
    return tracker


def run_and_models(client: MlflowClient):
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments, "tags.role = 'trial'")
    return run, client.search_logged_models(experiments)


def test_a_finished_trial_has_its_data_and_its_model(engine_home, toy_sweep, client, tmp_path, checkpoint):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = begun(engine_home, toy_sweep(), ledger)
    tracker.trial_ends(ledger.trials[0], checkpoint)
    run, (model,) = run_and_models(client)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("ETHZ", "f00d")
    assert json.loads(data.dataset.source) == {"uri": "/archive/ETHZ"}
    assert (model.name, model.source_run_id, model.status) == ("toy_1-000", run.info.run_id, "READY")
    assert (model.params, model.tags["precision"]) == ({"x": "0.5"}, "int8")
    assert [(one.key, one.value, one.dataset_name) for one in model.metrics] == [("best/dev/f1", 0.2, "ETHZ")]
    assert len(client.get_metric_history(run.info.run_id, "best/dev/f1")) == 1, "in the run it is not a second point"
    window = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    with mlflow_asks(engine_home.mlflow_uri):
        loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    np.testing.assert_allclose(loaded.predict(window)["y"], 2 * window)


@pytest.mark.parametrize(
    "dies_at", ["log_inputs", "create_logged_model", "log_model_artifacts", "finalize_logged_model"]
)
def test_a_server_that_was_away_in_between_has_one_model(
    engine_home, toy_sweep, client, tmp_path, checkpoint, dies_at, monkeypatch
):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, dies_at, _away)
        tracker = begun(engine_home, toy_sweep(), ledger)
        tracker.trial_ends(ledger.trials[0], checkpoint)
        assert not tracker.has(0)
        assert tracker.wants(0), "the checkpoint is kept for it"
    again = begun(engine_home, toy_sweep(), ledger)
    again.trial_ends(ledger.trials[0], checkpoint)
    again.end("finished", ledger.trials[0])
    run, models = run_and_models(client)
    assert [model.status for model in models] == ["READY"]
    assert len(run.inputs.dataset_inputs) == 1
    assert len(client.get_metric_history(run.info.run_id, "dev/f1")) == 2
    assert again.has(0)


def _away(*_: object, **__: object) -> None:
    raise ConnectionError("nobody there")


def test_a_server_that_knows_no_models_has_all_else(engine_home, toy_sweep, client, tmp_path, checkpoint, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise mlflow_answers.RefusedError("no such address")

    monkeypatch.setattr(MlflowClient, "search_logged_models", refuse)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = begun(engine_home, toy_sweep(), ledger)
    tracker.trial_ends(ledger.trials[0], checkpoint)
    assert tracker.has(0)
    assert "model: no such address" in tracker.refused[0]


def test_a_stopped_trial_and_one_without_a_network_have_no_model(engine_home, toy_sweep, client, tmp_path, checkpoint):
    for file in (checkpoint / "artifacts").glob("*.onnx"):
        file.unlink()
    ledger = Ledger(tmp_path / "ledger.jsonl")
    tracker = begun(engine_home, toy_sweep(), ledger)
    tracker.trial_ends(ledger.trials[0], checkpoint)
    doubler(checkpoint / "artifacts" / "model_fp32.onnx")
    tracker.trial_begins(ledger.begin_trial(1, {"x": 0.5}, 0), CONFIG)
    ledger.end_trial(1, "stopped", "behind")
    tracker.trial_ends(ledger.trials[1], checkpoint)
    assert not client.search_logged_models([tracker.experiment_id])


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, []),
        ({"data": "mine"}, []),
        ({"data": {"dataset": 3}}, []),
        ({"data": {"dataset": "ETHZ"}}, ["ETHZ"]),
        ({"data": {"datasets": ["ETHZ", "s3://bucket/mine/", "ETHZ"]}}, ["ETHZ", "mine"]),
    ],
)
def test_data_sets_of_a_configuration(config, named):
    assert [one.dataset.name for one in inputs_of(config, FACTS)] == named


def test_the_fingerprint_is_of_the_data_set_that_it_was_taken_of():
    """A grid over data sets has one on record."""
    digests = {
        name: inputs_of({"data": {"dataset": name}}, FACTS)[0].dataset.digest
        for name in ("/archive/ETHZ", "/archive/other", "/elsewhere/other")
    }
    assert digests["/archive/ETHZ"] == "f00d"
    assert len(set(digests.values())) == 3


def test_streams_are_inputs_and_each_of_several_data_sets_has_its_own_fingerprint():
    facts = {"dataset": "A, /archive/B", "data_fingerprint": "f00d+beef", "streams_fingerprint": "cafe"}
    data = {"dataset": ["A", "/archive/B"], "streams": "/archive/year"}
    found = [(one.dataset.name, one.dataset.digest) for one in inputs_of({"data": data}, facts)]
    assert found == [("A", "f00d"), ("B", "beef"), ("year", "cafe")]
