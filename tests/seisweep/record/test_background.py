"""The thread that writes: Tune's loop never waits for MLflow, and what waits too long is read from the ledger again."""

from __future__ import annotations

import threading

import pytest
from mlflow.tracking import MlflowClient
from seisweep.record import mlflow_answers, unsaid, writing_line
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

log_batch = MlflowClient.log_batch


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin_session()
    return ledger


def tracker(home: Home, sweep, ledger: Ledger) -> Tracker:
    made = Tracker(own_store(home), sweep, "toy-1", "id-of-toy-1", {}, ledger.reports)
    made.begin("", {})
    return made


def train(ledger: Ledger, writer: Tracker, number: int, epochs: int) -> None:
    writer.trial_begins(ledger.begin_trial(number, {"x": 0.5}, 0), {})
    for epoch in range(1, epochs + 1):
        writer.report(ledger.report(number, {"epoch": epoch, "dev/f1": epoch / 100}))
    ledger.end_trial(number, "done")
    writer.trial_ends(ledger.trials[number], None)


def steps(home: Home, number: int) -> list[int]:
    client = MlflowClient(tracking_uri=home.mlflow_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.role = 'trial' and tags.trial = '{number}'")
    assert run.info.status == "FINISHED"
    return [point.step for point in client.get_metric_history(run.info.run_id, "dev/f1")]


def test_a_whole_sweep_runs_while_mlflow_thinks_about_its_first_word(engine_home, toy_sweep, ledger, monkeypatch):
    go_on, batches = threading.Event(), []

    def slow(client, run_id, metrics=(), **others):
        assert go_on.wait(120)
        batches.append(len(metrics))
        return log_batch(client, run_id, metrics=metrics, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", slow)
    writer = tracker(engine_home, toy_sweep(), ledger)
    with writer.in_background():
        for number in range(3):
            train(ledger, writer, number, epochs=20)
        writer.end("finished", ledger.trials[0])
        assert not batches
        assert writer.lacks == "3 trials"
        go_on.set()
        writer.wait(120, lambda words: None)
    assert writer.lacks == ""
    assert [steps(engine_home, number) for number in range(3)] == [list(range(1, 21))] * 3
    assert 20 in batches, "epochs that have gathered are one call"


@pytest.mark.parametrize("dies", [False, True])
def test_what_waits_too_long_is_read_from_the_ledger_again(engine_home, toy_sweep, ledger, monkeypatch, dies):
    monkeypatch.setattr(unsaid, "MOST_WAITING", 5)
    monkeypatch.setattr("seisweep.record.tracker.MOST_WAITING", 5)
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())
    monkeypatch.setattr(writing_line, "FIRST_PAUSE_S", 0.0)
    go_on, asked = threading.Event(), threading.Event()
    calls = []

    def slow(client, run_id, **others):
        asked.set()
        assert go_on.wait(120)
        calls.append(others)
        if dies and len(calls) % 3 == 1:
            raise ConnectionError("reset")
        return log_batch(client, run_id, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", slow)
    writer = tracker(engine_home, toy_sweep(), ledger)
    writer._line._pause_s = 0.0
    with writer.in_background():
        writer.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {})
        for epoch in range(1, 41):
            writer.report(ledger.report(0, {"epoch": epoch, "dev/f1": epoch / 100}))
            if epoch == 1:
                assert asked.wait(120)
        assert len(writer._trials[0].reports) <= 5
        ledger.end_trial(0, "done")
        writer.trial_ends(ledger.trials[0], None)
        writer.end("finished", ledger.trials[0])
        go_on.set()
        writer.wait(120, lambda words: None)
    assert writer.lacks == ""
    assert steps(engine_home, 0) == list(range(1, 41))
