"""What MLflow holds after a sweep, after a crash at any point, and after its server was away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from seisweep.record import mlflow_answers, tags, writing_line
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())
    monkeypatch.setattr(mlflow_answers, "FIRST_PAUSES_S", ())


@contextmanager
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the server were away."""
    asked = ("create_run", "search_runs", "get_run", "update_run", "log_batch", "set_tag", "log_artifact")
    with monkeypatch.context() as patch:
        for call in (*asked, "set_terminated", "delete_run"):
            patch.setattr(MlflowClient, call, _refuse)
        yield


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin_session()
    return ledger


@pytest.fixture
def client(engine_home: Home) -> MlflowClient:
    return MlflowClient(tracking_uri=engine_home.mlflow_uri)


def tracker(home: Home, sweep, uri: str | None = None, best_apart: bool = False) -> Tracker:
    store = replace(own_store(home), uri=uri or home.mlflow_uri)
    made = Tracker(store, sweep, "toy-1", "id-of-toy-1", {"git_commit": "abc"}, best_apart=best_apart)
    made.begin("why not", {"what": "a toy"})
    return made


def run_trial(ledger: Ledger, writer: Tracker, number: int, epochs: int = 2) -> None:
    writer.trial_begins(ledger.begin_trial(number, {"x": 0.5}, 0), {"x": 0.5, "size": 1})
    for epoch in range(1, epochs + 1):
        report = ledger.report(number, {"epoch": epoch, "dev/f1": epoch / 10, "dev/nothing": float("nan")})
        assert report is not None
        writer.report(report)


def checkpoint(folder: Path) -> Path:
    (folder / "artifacts").mkdir(parents=True)
    (folder / tags.HARDWARE_FILE).write_text("node 2: a processor, 4 cores")
    (folder / "artifacts" / "model.onnx").write_text("weights")
    (folder / "tags.json").write_text(json.dumps({"gate": "accepted"}))
    return folder


def finish_trial(ledger: Ledger, writer: Tracker, number: int, folder: Path | None, state="done") -> None:
    ledger.end_trial(number, state, "" if state == "done" else "because")
    writer.trial_ends(ledger.trials[number], folder)


def trial_run(client: MlflowClient, number: int = 0):
    experiments = [e.experiment_id for e in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.role = 'trial' and tags.trial = '{number}'")
    assert len(found) == 1, f"trial {number} has {len(found)} runs"
    return found[0]


def points(client: MlflowClient, run, metric: str) -> list[tuple[int, float]]:
    return [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, metric)]


def test_a_trial_becomes_a_nested_run(engine_home, toy_sweep, ledger, client, tmp_path):
    writer = tracker(engine_home, toy_sweep())
    run_trial(ledger, writer, 0)
    finish_trial(ledger, writer, 0, checkpoint(tmp_path / "c"))
    writer.end("finished", ledger.trials[0])
    run = trial_run(client)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "toy-1-000"
    assert run.data.params == {"x": "0.5"}
    assert points(client, run, "dev/f1") == [(1, 0.1), (2, 0.2)]
    assert "dev/nothing" not in run.data.metrics
    assert run.data.tags["hardware"] == "node 2: a processor, 4 cores", "where it trained, not where the driver is"
    expected = {"state": "done", "gate": "accepted", "git_commit": "abc", "seed": "0", "sweep": "toy-1"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags[tags.PARENT] == writer.parent_run_id
    assert sorted(file.path for file in client.list_artifacts(run.info.run_id)) == ["config.json", "model.onnx"]
    parent = client.get_run(writer.parent_run_id)
    assert (parent.info.status, parent.data.tags["state"]) == ("FINISHED", "finished")
    assert parent.data.metrics["dev/f1"] == 0.2
    assert parent.data.tags["mlflow.note.content"] == "why not"


@pytest.mark.parametrize(("state", "status"), [("stopped", "KILLED"), ("failed", "FAILED")])
def test_states_of_trials(engine_home, toy_sweep, ledger, client, state, status):
    writer = tracker(engine_home, toy_sweep())
    run_trial(ledger, writer, 0)
    finish_trial(ledger, writer, 0, None, state)
    run = trial_run(client)
    assert (run.info.status, run.data.tags["state"], run.data.tags["reason"]) == (status, state, "because")


@pytest.mark.parametrize("status", ["KILLED", "FINISHED"])
def test_a_stopped_trial_is_told_from_an_interrupted_one(engine_home, toy_sweep, ledger, client, status):
    """Both are killed for MLflow; earlier versions said that a stopped one was finished."""
    first = tracker(engine_home, toy_sweep())
    for number in (0, 1):
        run_trial(ledger, first, number)
    finish_trial(ledger, first, 0, None, "stopped")
    first.end("interrupted", None)
    assert [trial_run(client, number).info.status for number in (0, 1)] == ["KILLED", "KILLED"]
    client.update_run(trial_run(client).info.run_id, status=status)
    again = tracker(engine_home, toy_sweep())
    assert (again.has(0), again.has(1)) == (True, False)


@pytest.mark.parametrize("died_after", ["create", "first report", "last report", "artifacts", "close"])
def test_a_resumed_sweep_goes_on_in_the_same_runs(
    engine_home, toy_sweep, ledger, client, tmp_path, died_after, monkeypatch
):
    """The first writer dies at some point; the second is told the past and goes on."""
    monkeypatch.setattr(writing_line, "FLUSH_EVERY_S", 0.0)
    first = tracker(engine_home, toy_sweep())
    folder = checkpoint(tmp_path / "c")
    if died_after == "create":
        first.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {"x": 0.5})
        ledger.report(0, {"epoch": 1, "dev/f1": 0.1})  # written down, not yet logged
    else:
        run_trial(ledger, first, 0, epochs=1)
    if died_after in ("artifacts", "close"):
        if died_after == "artifacts":
            monkeypatch.setattr(first.client, "set_terminated", _die)
        finish_trial(ledger, first, 0, folder) if died_after == "close" else _until_death(ledger, first, folder)

    second = tracker(engine_home, toy_sweep())
    assert second.parent_run_id == first.parent_run_id
    assert second.has(0) == (died_after == "close")
    record = ledger.trials[0]
    second.trial_begins(record, {"x": 0.5}, list(ledger.reports({0})))
    if record.running:
        second.report(ledger.report(0, {"epoch": 2, "dev/f1": 0.2}))
        ledger.end_trial(0, "done")
    second.trial_ends(record, folder)
    second.end("finished", record)

    run = trial_run(client)
    steps = [step for step, _ in points(client, run, "dev/f1")]
    assert steps == ([1] if died_after in ("artifacts", "close") else [1, 2])
    assert run.info.status == "FINISHED"
    assert (engine_home.artifacts_dir / run.info.run_id / "artifacts" / "model.onnx").read_text() == "weights"


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _until_death(ledger: Ledger, writer: Tracker, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        finish_trial(ledger, writer, 0, folder)


def test_interrupted_trials_are_no_running_runs(engine_home, toy_sweep, ledger, client):
    writer = tracker(engine_home, toy_sweep())
    run_trial(ledger, writer, 0)
    writer.end("interrupted", None)
    assert trial_run(client).info.status == "KILLED"
    assert trial_run(client).data.tags["state"] == "interrupted"
    assert client.get_run(writer.parent_run_id).info.status == "KILLED"
    again = tracker(engine_home, toy_sweep())
    assert client.get_run(again.parent_run_id).info.status == "RUNNING"
    again.trial_begins(ledger.trials[0], {})
    assert trial_run(client).info.status == "RUNNING"
    assert trial_run(client).data.tags["state"] == "running"


@pytest.mark.parametrize("final_score", [0.2, 0.3])
def test_scores_at_the_end_count_where_the_trial_was_interrupted_after_its_last_epoch(
    engine_home, toy_sweep, ledger, client, final_score
):
    """Those of the interruption stand at the same step: the same value is there once, another one is the last."""
    writer = tracker(engine_home, toy_sweep(), best_apart=True)
    run_trial(ledger, writer, 0)
    writer.end("interrupted", None)
    again = tracker(engine_home, toy_sweep(), best_apart=True)
    again.trial_begins(ledger.trials[0], {"x": 0.5, "size": 1}, ledger.reports({0}))
    again.report(ledger.report(0, {"epoch": 2, "final": 1, "dev/f1": final_score}))
    finish_trial(ledger, again, 0, None)
    run = trial_run(client)
    assert points(client, run, "best/dev/f1") == sorted({(2, 0.2), (2, final_score)})
    assert run.data.metrics["best/dev/f1"] == final_score
    assert points(client, run, "dev/f1") == [(1, 0.1), (2, 0.2)]


def test_a_store_that_is_away_for_a_while_gets_everything_later(
    engine_home, toy_sweep, ledger, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing_line, "FLUSH_EVERY_S", 0.0)
    writer = tracker(engine_home, toy_sweep())
    with nobody_answers(monkeypatch):
        run_trial(ledger, writer, 0)
        finish_trial(ledger, writer, 0, checkpoint(tmp_path / "c"))
        assert (writer.behind, writer.lacks) == (1, "1 trial")
        assert "refused" in writer.trouble
    writer.end("finished", ledger.trials[0])
    assert writer.behind == 0
    run = trial_run(client)
    assert points(client, run, "dev/f1") == [(1, 0.1), (2, 0.2)]
    times = [p.timestamp for p in client.get_metric_history(run.info.run_id, "dev/f1")]
    assert times == [report.time_ms for report in ledger.reports({0})]


def test_a_server_that_died_before_it_could_answer_has_one_run(
    engine_home, toy_sweep, ledger, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(writing_line, "FIRST_PAUSE_S", 0.0)
    writer = tracker(engine_home, toy_sweep())
    create = writer.client.create_run

    def unheard(*given: object, **named: object) -> None:
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0", "nor does MLflow's own client ask twice"
        create(*given, **named)
        raise ConnectionError("connection reset")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with monkeypatch.context() as patch:
        patch.setattr(writer.client, "create_run", unheard)
        writer.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {"x": 0.5})
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    finish_trial(ledger, writer, 0, checkpoint(tmp_path / "c"))
    assert trial_run(client).info.status == "FINISHED"


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("broken", ["log_batch", "log_artifact"])
def test_a_run_without_its_description_gets_it_later(
    engine_home, toy_sweep, ledger, client, tmp_path, monkeypatch, broken, resumed
):
    """MLflow fails right after a run was created: the same writer tries again, and so does a later session's."""
    writer = tracker(engine_home, toy_sweep())
    with monkeypatch.context() as patch:
        patch.setattr(writer.client, broken, _refuse)
        run_trial(ledger, writer, 0)
        assert writer.behind == 1
    if resumed:
        writer = tracker(engine_home, toy_sweep())
        writer.trial_begins(ledger.trials[0], {"x": 0.5, "size": 1}, list(ledger.reports({0})))
    finish_trial(ledger, writer, 0, checkpoint(tmp_path / "c"))
    writer.end("finished", ledger.trials[0])
    run = trial_run(client)
    assert run.data.params == {"x": "0.5"}
    assert sorted(file.path for file in client.list_artifacts(run.info.run_id)) == ["config.json", "model.onnx"]
    assert points(client, run, "dev/f1") == [(1, 0.1), (2, 0.2)]
    assert writer.behind == 0


def test_a_store_that_takes_no_files_is_known_before_anything_begins(engine_home, toy_sweep, client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", _refuse)
        with pytest.raises(ValueError, match="does not answer"):
            tracker(engine_home, toy_sweep())
    assert_described_once(tracker(engine_home, toy_sweep()), client)


def test_a_view_that_got_no_answer_is_set_later(engine_home, toy_sweep, client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_experiment_tag", _refuse)
        writer = tracker(engine_home, toy_sweep())
    writer.end("finished", None)
    assert_described_once(writer, client)


def assert_described_once(again: Tracker, client: MlflowClient) -> None:
    parent = client.get_run(again.parent_run_id)
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["sweep.json"]
    assert "mlflow.sharedViewState.toy-1" in client.get_experiment(parent.info.experiment_id).tags
    assert len(client.search_runs([parent.info.experiment_id])) == 1


def _refuse(*_: object, **__: object) -> None:
    raise ConnectionError("connection refused")


def test_an_end_that_was_not_written_is_known(engine_home, toy_sweep, ledger, client, monkeypatch):
    writer = tracker(engine_home, toy_sweep())
    run_trial(ledger, writer, 0)
    finish_trial(ledger, writer, 0, None)
    assert writer.lacks == ""
    with monkeypatch.context() as patch:
        patch.setattr(writer.client, "set_terminated", _refuse)
        writer.end("finished", ledger.trials[0])
    assert (writer.behind, writer.lacks, writer.trouble) == (0, "the end of the sweep", "connection refused")
    again = tracker(engine_home, toy_sweep())
    again.end("finished", ledger.trials[0])
    assert again.lacks == ""
    assert client.get_run(again.parent_run_id).info.status == "FINISHED"
