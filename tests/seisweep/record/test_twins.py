"""A server that makes a run and says so too late: of two runs that stand for one trial the empty one goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlflow.tracking import MlflowClient
from seisweep.record import mlflow_answers, writing_line
from seisweep.record.ledger import Ledger
from seisweep.record.tracker import Tracker
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

create_run = MlflowClient.create_run


class LateServer:
    """Forgets to answer, and does later what it was asked."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []
        self.is_late = True

    def create_run(self, client: MlflowClient, *given: object, **named: object) -> object:
        if not self.is_late:
            return create_run(client, *given, **named)  # type: ignore[arg-type]
        self.is_late = False
        self.waiting.append(lambda: create_run(client, *given, **named))  # type: ignore[arg-type]
        raise ConnectionError("read timed out")

    def arrives(self) -> None:
        while self.waiting:
            self.waiting.pop()()


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> LateServer:
    server = LateServer()
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", ())
    monkeypatch.setattr(mlflow_answers, "FIRST_PAUSES_S", (0.0,))
    monkeypatch.setattr(writing_line, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(MlflowClient, "create_run", lambda client, *a, **k: server.create_run(client, *a, **k))
    return server


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin_session()
    return ledger


def tracker(home: Home, sweep) -> Tracker:
    made = Tracker(own_store(home), sweep, "toy-1", "id-of-toy-1", {})
    made._line._pause_s = 0.0
    made.begin("", {})
    return made


def runs(home: Home, writer: Tracker, role: str) -> list[tuple[str, int]]:
    client = MlflowClient(tracking_uri=home.mlflow_uri)
    found = client.search_runs([writer.experiment_id], f"tags.role = '{role}'")
    return sorted((run.info.status, len(run.data.metrics)) for run in found)


def train(ledger: Ledger, writer: Tracker) -> None:
    writer.report(ledger.report(0, {"epoch": 1, "dev/f1": 0.5}))
    ledger.end_trial(0, "done")
    writer.trial_ends(ledger.trials[0], None)


@pytest.mark.parametrize("when", ["before the trial ends", "before the sweep ends", "before it is resumed"])
def test_of_two_runs_of_a_trial_the_empty_one_goes(engine_home, toy_sweep, ledger, late, when):
    late.is_late = False
    writer = tracker(engine_home, toy_sweep())
    late.is_late = True
    writer.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {})
    writer.searched({"x": {}})  # any news: the run is asked for again
    if when == "before the trial ends":
        late.arrives()
    train(ledger, writer)
    if when == "before the sweep ends":
        late.arrives()
    writer.end("finished", ledger.trials[0])
    if when == "before it is resumed":
        late.arrives()
        assert len(runs(engine_home, writer, "trial")) == 2
        writer = tracker(engine_home, toy_sweep())
        assert writer.has(0)
        writer.end("finished", ledger.trials[0])
    assert runs(engine_home, writer, "trial") == [("FINISHED", 1)]
    assert runs(engine_home, writer, "sweep") == [("FINISHED", 1)]


def test_a_resumed_trial_goes_on_in_the_run_that_was_written_into(engine_home, toy_sweep, ledger, late):
    late.is_late = False
    first = tracker(engine_home, toy_sweep())
    late.is_late = True
    first.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {})
    first.report(ledger.report(0, {"epoch": 1, "dev/f1": 0.4}))
    late.arrives()

    second = tracker(engine_home, toy_sweep())
    second.trial_begins(ledger.trials[0], {}, list(ledger.reports({0})))
    second.report(ledger.report(0, {"epoch": 2, "dev/f1": 0.5}))
    ledger.end_trial(0, "done")
    second.trial_ends(ledger.trials[0], None)
    assert runs(engine_home, second, "trial") == [("FINISHED", 1)]


def test_of_two_runs_of_a_sweep_the_empty_one_goes(engine_home, toy_sweep, ledger, late):
    writer = tracker(engine_home, toy_sweep())
    late.arrives()
    writer.trial_begins(ledger.begin_trial(0, {"x": 0.5}, 0), {})
    train(ledger, writer)
    assert len(runs(engine_home, writer, "sweep")) == 2
    writer.end("finished", ledger.trials[0])
    assert runs(engine_home, writer, "sweep") == [("FINISHED", 1)]
    again = tracker(engine_home, toy_sweep())
    assert again.parent_run_id == writer.parent_run_id
