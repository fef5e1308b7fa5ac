"""Twenty kills, and after each the last one to three lines of the ledger, of the journal or of both are gone.

The sessions are simulated (nothing trains, Ray does not run), ledger, study and MLflow's database are real.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from ray import tune
from seisweep.engine.finish import finish
from seisweep.engine.outcome import Outcome, Silent
from seisweep.engine.parts import Parts
from seisweep.engine.plan import Plan
from seisweep.engine.session import catch_up
from seisweep.engine.stopping import StopRequest
from seisweep.engine.sweep_folder import Launch
from seisweep.engine.tune_callback import TuneCallback
from seisweep.record import writing_line
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import own_store
from seisweep.workers.trial import METRICS

LOCAL = Profile()
KILLS, TRIALS, EPOCHS, FAILS = 20, 5, 3, 2


def session(begun: Launch, home: Home, steps: int | None) -> Outcome | None:
    """Go on with the sweep, and be killed after so many steps; None where that was so."""
    parts = Parts.of(Plan(begun, home, own_store(home), Trainable.find(begun.sweep.trainable), LOCAL, None), Silent())
    over = parts.ledger.outcome
    parts.ledger.begin_session()
    parts.tracker.begin("", parts.description, parts.num_trials)
    callback = TuneCallback(parts)
    catch_up(parts, callback)
    under_way: list[Iterator[None]] = []
    count = 0
    while not over and (under_way or parts.num_left):
        if steps is not None and count >= steps:
            parts.ledger.close()
            return None
        if len(under_way) < min(2, parts.num_left):
            under_way.append(trial(callback, f"{parts.ledger.num_sessions}-{count}", begun.folder / "tune"))
        turn = under_way[count % len(under_way)]
        if next(turn, "over") == "over":
            under_way.remove(turn)
        count += 1
    outcome = finish(parts, StopRequest(None))
    parts.ledger.close()
    return outcome


def trial(callback: TuneCallback, trial_id: str, folder: Path) -> Iterator[None]:
    """What Tune tells of a trial, one step at a time. Trial 2 fails in its second epoch."""
    config = callback.propose(trial_id)
    tunes = SimpleNamespace(trial_id=trial_id, config=config)
    resumed = config["resume_from"]
    first = json.loads((Path(resumed) / "state.json").read_text()) if resumed else 0
    yield
    for epoch, final in [*((epoch, 0) for epoch in range(first + 1, EPOCHS + 1)), (EPOCHS, 1)]:
        if config["trial"] == FAILS and epoch == 2:
            callback.recovery.reasons[trial_id] = "bad luck"
            callback.trial_over(trial_id, failed=True)
            yield
            callback.on_trial_error(0, [], tunes)
            return
        metrics = {"epoch": epoch, "final": final, "dev/f1": random.random()}  # another value each time it trains
        callback.on_trial_result(0, [], tunes, {METRICS: metrics})
        yield
        saved = folder / "session-1" / f"trial-{trial_id}" / f"checkpoint_{epoch + final}"
        (saved / "artifacts").mkdir(parents=True)
        (saved / "state.json").write_text(str(epoch))
        callback.on_checkpoint(0, [], tunes, tune.Checkpoint(str(saved)))
        yield
    callback.trial_over(trial_id, failed=False)
    yield
    callback.on_trial_complete(0, [], tunes)


def cut(file: Path, lines: int) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-lines]))


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("which", [("ledger.jsonl",), ("study.journal",), ("ledger.jsonl", "study.journal")])
def test_nothing_is_lost_doubled_or_stuck_where_the_power_fails(engine_home: Home, toy_sweep, monkeypatch, which, seed):
    monkeypatch.setattr(writing_line, "FLUSH_EVERY_S", -1.0)
    sweep = toy_sweep(samples=TRIALS, scheduler="none", sampler="random", base={"training.epochs": EPOCHS})
    begun = Launch(engine_home.sweep_dir("toy-1"), "id", "toy-1", sweep, LOCAL, "", "", {"data_fingerprint": "toy"})
    begun.write()
    rng = random.Random(f"{which} {seed}")
    for _ in range(KILLS):
        session(begun, engine_home, steps=rng.randint(1, 14))
        for name in which:
            cut(begun.folder / name, rng.randint(1, 3))
    outcome = session(begun, engine_home, steps=None)
    assert outcome is not None
    assert outcome.state == "finished"
    states = {number: "failed" if number == FAILS else "done" for number in range(TRIALS)}
    assert {row.number: row.state for row in outcome.rows} == states
    assert ledger_steps(begun.folder) == {
        (number, step): 1 for number in states for step in range(1, 2 if number == FAILS else EPOCHS + 2)
    }
    assert_study_agrees(engine_home, begun, outcome)
    assert_mlflow_has_each_step_once(MlflowClient(engine_home.mlflow_uri), states)


def ledger_steps(folder: Path) -> Counter[tuple[int, int]]:
    events = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    reports = [(event["trial"], event["metrics"]) for event in events if event["event"] == "report"]
    return Counter((number, metrics["epoch"] + metrics["final"]) for number, metrics in reports)


def assert_study_agrees(home: Home, begun: Launch, outcome: Outcome) -> None:
    from seisweep.engine.search import Study

    asked = Study(begun.sweep, begun.folder / "study.journal", {}).study.trials
    known: list[dict[str, Any]] = [row.params for row in outcome.rows]
    assert [found.params for found in asked] == known
    assert [found.state.name for found in asked] == [
        "FAIL" if number == FAILS else "COMPLETE" for number in range(TRIALS)
    ]


def assert_mlflow_has_each_step_once(client: MlflowClient, states: dict[int, str]) -> None:
    runs = client.search_runs([found.experiment_id for found in client.search_experiments()])
    assert Counter(run.data.tags["role"] for run in runs) == {"sweep": 1, "trial": TRIALS}
    trials = {int(run.data.tags["trial"]): run for run in runs if run.data.tags["role"] == "trial"}
    for number, state in states.items():
        run = trials[number]
        assert (run.info.status, run.data.tags["state"]) == ("FAILED" if state == "failed" else "FINISHED", state)
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "dev/f1")]
        assert sorted(steps) == list(range(1, 2 if state == "failed" else EPOCHS + 2))
