"""A sweep whose MLflow is slow, away or wants nothing: it runs as ever, says so at its end, and is brought up later."""

from __future__ import annotations

import threading

import pytest
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.engine.launch import launch, resume
from seisweep.engine.outcome import Outcome, Silent, TrialRow
from seisweep.record import mlflow_answers
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration


class Listening(Silent):
    """A watch that remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.over: set[int] = set()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def trial_update(self, row: TrialRow) -> None:
        if row.state in ("done", "stopped", "failed"):
            self.over.add(row.number)


def away(*_: object, **__: object) -> None:
    raise ConnectionError("connection refused")


def assert_whole(outcome: Outcome) -> None:
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert loaded.parent.data.tags["state"] == "finished"
    assert [loaded.state(number) for number in loaded.runs] == [row.state for row in outcome.rows]
    client = MlflowClient(tracking_uri=outcome.tracking_uri)
    every = client.search_runs([outcome.experiment_id])
    assert len(every) == len(outcome.rows) + 1
    for number, run in loaded.runs.items():
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "dev/f1")]
        assert steps == list(range(1, len(steps) + 1)), number
        if loaded.state(number) == "done":
            assert (loaded.artifacts(number) / "model.txt").read_text() == f"x = {outcome.rows[number].params['x']}"
            assert loaded.tags(number)["gate"] == "accepted"


@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_an_mlflow_that_goes_away_costs_no_trial_and_the_resume_brings_it_up(
    local_ray, engine_home, toy_sweep, monkeypatch, scheduler
):
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())
    sweep = toy_sweep(samples=4, scheduler=scheduler, base={"training.epochs": 4}, grace_epochs=1, reduction_factor=2)
    watch = Listening()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", away)
        patch.setattr(MlflowClient, "set_terminated", away)
        profile = Profile(tracking_deadline_s=3)
        outcome = launch(sweep, profile, engine_home, name="toy-1", watch=watch)
    assert outcome.state == "finished"
    assert (outcome.lacks_in_mlflow, outcome.exit_code) == ("4 trials", 3)
    waiting, lacking = watch.lines[-2:]
    assert waiting.startswith(
        f"MLflow at {outcome.tracking_uri} lacks 4 trials: waiting up to 3 s for it to accept more"
    )
    assert lacking == (
        f"not in MLflow yet: 4 trials ({outcome.tracking_uri}: connection refused); run `seisweep resume toy-1` once "
        "the server answers"
    )
    again = resume("toy-1", None, engine_home)
    assert (again.lacks_in_mlflow, again.exit_code) == ("", 0)
    assert_whole(again)


def test_tunes_loop_does_not_wait_for_mlflow(local_ray, engine_home, toy_sweep, monkeypatch):
    """MLflow thinks about its first word until the last trial is over."""
    watch, log_batch = Listening(), MlflowClient.log_batch
    all_over = threading.Event()

    def slow(client, run_id, **others):
        assert all_over.wait(300)
        return log_batch(client, run_id, **others)

    update = watch.trial_update

    def note(row: TrialRow) -> None:
        update(row)
        if len(watch.over) == 3:
            all_over.set()

    watch.trial_update = note  # type: ignore[method-assign]
    monkeypatch.setattr(MlflowClient, "log_batch", slow)
    outcome = launch(toy_sweep(samples=3, scheduler="none"), Profile(), engine_home, name="toy-1", watch=watch)
    assert outcome.exit_code == 0
    assert_whole(outcome)
