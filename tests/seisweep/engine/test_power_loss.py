"""A machine that loses its power: the last lines of ledger and journal are gone, of one, the other, or both.

Sessions are played event by event as Ray Tune would call the driver, killed at random moments, and cut before the next
one begins. In the end the record is that of a sweep that nothing happened to.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.storages.journal import JournalFileBackend, JournalStorage
from ray import tune
from seisweep import results
from seisweep.engine.finish import finish
from seisweep.engine.outcome import Silent
from seisweep.engine.parts import Parts
from seisweep.engine.plan import Plan
from seisweep.engine.session import catch_up
from seisweep.engine.stopping import StopRequest
from seisweep.engine.sweep_folder import JOURNAL_FILE, LEDGER_FILE, Launch
from seisweep.engine.tune_callback import TuneCallback
from seisweep.record import writing_line
from seisweep.record.ledger import Ledger
from seisweep.requested.trainable import Trainable
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store

EPOCHS, SAMPLES, KILLS = 4, 6, 20


@pytest.fixture
def plan(engine_home, toy_sweep) -> Plan:
    sweep = toy_sweep(samples=SAMPLES, scheduler="none", base={"training.epochs": EPOCHS})
    folder = engine_home.sweep_dir("toy-1")
    begun = Launch(folder, "an-id", "toy-1", sweep, Profile(), "", "2026-01-01T00:00:00", {})
    begun.write()
    return Plan(begun, engine_home, own_store(engine_home), Trainable.find(sweep.trainable), Profile())


class Session:
    """A driver between two kills: at most two trials at a time, one event after the other."""

    def __init__(self, plan: Plan, draw: random.Random) -> None:
        self.plan, self.draw, self.parts = plan, draw, Parts.of(plan, Silent())
        self.parts.ledger.begin_session()
        self.parts.tracker.begin("", self.parts.description, self.parts.num_trials)
        self.callback = TuneCallback(self.parts)
        catch_up(self.parts, self.callback)
        self.left = self.parts.num_left
        self.events = [self._trial(f"{number}") for number in range(self.left)]
        self.under_way: list[Any] = []

    def play(self, most_events: int) -> bool:
        """Whether the sweep came to its end before so many events."""
        for _ in range(most_events):
            while self.events and len(self.under_way) < 2:
                self.under_way.append(self.events.pop(0))
            if not self.under_way:
                return True
            chosen = self.draw.choice(self.under_way)
            if next(chosen, "over") == "over":
                self.under_way.remove(chosen)
        return False

    def _trial(self, trial_id: str) -> Any:
        """What happens to one trial, event by event."""
        asked = self.callback.propose(trial_id)
        trial = SimpleNamespace(trial_id=trial_id, config=asked, status="RUNNING", error_file=None, max_failures=1)
        self.callback.on_trial_start(0, [], trial)
        place = asked["resume_from"]
        first = int(Path(place, "epoch").read_text()) + 1 if place else 1
        for epoch, final in [*((epoch, 0) for epoch in range(first, EPOCHS + 1)), (EPOCHS, 1)]:
            yield
            loss = asked["params"]["x"] + 1 / epoch
            result = {"metrics": {"epoch": epoch, "final": final, "dev/loss": loss, "dev/f1": -loss}}
            self.callback.on_trial_result(0, [], trial, result)
            yield
            folder = Path(
                self.plan.storage, f"session-{self.parts.ledger.num_sessions:03d}", f"trial-{asked['trial']:05d}"
            )
            folder = folder / f"checkpoint_{epoch + final:06d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "epoch").write_text(str(epoch))
            self.callback.on_checkpoint(0, [], trial, tune.Checkpoint(str(folder)))
        yield
        self.callback.trial_over(trial_id, failed=False)
        yield
        self.callback.on_trial_complete(0, [], trial)


def cut(file: Path, lines: int) -> None:
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[: len(whole) - lines]))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_but_what_was_cut_and_nothing_is_there_twice(plan, seed, monkeypatch):
    monkeypatch.setattr(writing_line, "FLUSH_EVERY_S", -1.0)  # MLflow has each report at once, ahead of what is cut
    draw = random.Random(seed)
    for _ in range(KILLS):
        session = Session(plan, draw)
        session.play(draw.randint(1, 12))
        session.parts.ledger.close()
        for file in draw.choice([[LEDGER_FILE], [JOURNAL_FILE], [LEDGER_FILE, JOURNAL_FILE]]):
            cut(plan.folder / file, draw.randint(1, 3))
    session = Session(plan, draw)
    assert session.play(10_000)
    outcome = finish(session.parts, StopRequest(None))
    session.parts.ledger.close()

    assert outcome.state == "finished"
    assert [row.state for row in outcome.rows] == ["done"] * SAMPLES
    ledger = Ledger(plan.folder / LEDGER_FILE, read_only=True)
    assert ledger.outcome == "finished"
    storage = JournalStorage(JournalFileBackend(str(plan.folder / JOURNAL_FILE)))
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    assert [trial.state for trial in trials] == [optuna.trial.TrialState.COMPLETE] * SAMPLES
    assert [trial.params for trial in trials] == [ledger.trials[number].proposed for number in range(SAMPLES)]

    client = MlflowClient(plan.store.uri)
    loaded = results.load("toy-1", plan.store.uri)
    assert sorted(loaded.runs) == list(range(SAMPLES))
    assert len(client.search_runs([outcome.experiment_id])) == SAMPLES + 1
    for number, run in loaded.runs.items():
        assert run.info.status == "FINISHED"
        assert float(run.data.params["x"]) == ledger.trials[number].proposed["x"]
        for metric in ("dev/loss", "dev/f1"):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, metric)]
            assert sorted(steps) == list(range(1, EPOCHS + 2)), (number, metric)
