"""Whole sweeps of a toy on a real Ray: what is left in the study, the ledger, MLflow and on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from seisweep import results
from seisweep.engine.early_stopping import Halving
from seisweep.engine.launch import launch, resume, sweep_state
from seisweep.engine.sweep_folder import Launch
from seisweep.record.ledger import Ledger
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

TESTS = Path(__file__).resolve().parents[2]
LOCAL = Profile()


def study_states(home: Home, name: str) -> list[str]:
    file = str(home.sweep_dir(name) / "study.journal")
    storage = optuna.storages.journal.JournalStorage(optuna.storages.journal.JournalFileBackend(file))
    return [trial.state.name for trial in optuna.load_study(study_name=None, storage=storage).trials]


def assert_every_step_once(loaded: results.SweepResults) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=loaded.tracking_uri)
    for number, run in loaded.runs.items():
        for metric in run.data.metrics:
            points = {name: client.get_metric_history(run.info.run_id, name) for name in (metric, f"best/{metric}")}
            steps, best = ([point.step for point in found] for found in points.values())
            epochs = int(run.data.tags["epochs"])
            if metric.startswith(("train/", "dev/")):
                assert steps == list(range(1, epochs + 1)), f"trial {number}, {metric}: {steps}"
            assert best == sorted(set(best)), f"trial {number}, best/{metric}: {best}"
            last = [epochs] if metric.startswith("dev/") else []
            assert best[-1:] == last, f"trial {number}, best/{metric}: {best}"


@pytest.mark.integration
def test_a_sweep_from_launch_to_results(local_ray, engine_home, toy_sweep, capfd):
    sweep = toy_sweep(samples=6, base={"training.epochs": 6}, grace_epochs=1, reduction_factor=2)
    outcome = launch(sweep, LOCAL, engine_home, name="toy-1", note="first")
    assert outcome.state == "finished"
    assert len(outcome.rows) == 6
    states = [row.state for row in outcome.rows]
    assert set(states) == {"done", "stopped"}, "ASHA stops some and lets some through"
    assert outcome.rows[0].params == {"x": 0.5}, "the documented defaults come first"
    expected = {"done": "COMPLETE", "stopped": "PRUNED"}
    assert study_states(engine_home, "toy-1") == [expected[state] for state in states]

    loaded = results.load("toy-1", outcome.tracking_uri)
    assert list(loaded.trials["state"]) == states
    assert outcome.best is not None
    assert loaded.best() == outcome.best.number
    assert (loaded.artifacts(loaded.best()) / "model.txt").read_text().startswith("x = ")
    assert loaded.config(0)["training"]["epochs"] == 6
    assert loaded.tags(loaded.best())["gate"] == "accepted"
    assert loaded.tags(0)["data_fingerprint"] == "toy"
    assert_every_step_once(loaded)
    kept = sorted(engine_home.sweep_dir("toy-1").glob("tune/session-*/trial-*/checkpoint_*"))
    assert len(kept) == states.count("done"), "the last checkpoint of a finished trial, nothing of a stopped one"

    again = resume("toy-1", None, engine_home)
    assert (again.state, len(again.rows)) == ("finished", 6)
    with pytest.raises(ValueError, match=r"a sweep named toy-1 exists \(finished\)"):
        launch(sweep, LOCAL, engine_home, name="toy-1")
    assert capfd.readouterr() == ("", ""), "no library has anything to say on the screen"


@pytest.mark.integration
def test_hyperband_stops_some_at_once_and_lets_some_run_to_the_end(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(
        samples=8, base={"training.epochs": 9}, scheduler="hyperband", grace_epochs=1, reduction_factor=3,
        sampler="random", vary={"x": {"low": 0.4, "high": 0.9}},
    )  # fmt: skip
    outcome = launch(sweep, LOCAL, engine_home, name="toy-1")
    in_bracket = [Halving("dev/f1", "max", 9, 1, 3, hyperband=True).bracket_of(number) for number in range(8)]
    assert set(in_bracket) == {0, 1, 2}
    ends = {bracket: {r.epoch for r in outcome.rows if in_bracket[r.number] == bracket} for bracket in (0, 1, 2)}
    assert ends[0] <= {1, 3, 9}
    assert 1 in ends[0], "stopped at its bracket's first rung"
    assert ends[1] <= {3, 9}
    assert ends[2] == {9}, "no rung"
    reasons = {row.reason for row in outcome.rows if row.state == "stopped"}
    assert "stopped by hyperband after epoch 1" in reasons


@pytest.mark.integration
def test_faults_stay_in_their_trial(local_ray, engine_home, toy_sweep, tmp_path):
    faults = toy_sweep(
        space=None,
        sampler="grid",
        scheduler="none",
        base={"training.epochs": 3, "marks": str(tmp_path)},
        vary={"nan_at": [None, 2], "fail_at": [None, 1], "die_at": [None, 2]},
    )
    outcome = launch(faults, LOCAL, engine_home, name="toy-1")
    assert outcome.state == "finished"
    rows = {tuple(row.params[key] for key in ("nan_at", "fail_at", "die_at")): row for row in outcome.rows}
    assert rows[None, None, None].state == "done"
    assert rows[None, None, 2].state == "done", "a process that died once goes on from its checkpoint"
    assert rows[None, None, 2].epoch == 3
    diverged, raised = rows[2, None, None], rows[None, 1, None]
    assert (diverged.state, raised.state) == ("failed", "failed")
    assert diverged.reason == "train/loss is nan at epoch 2: the training diverged"
    assert raised.reason == "RuntimeError: the toy was told to fail"
    log = engine_home.sweep_dir("toy-1") / "logs" / f"trial-{raised.number:05d}.log"
    assert "Traceback" in log.read_text()
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert loaded.trials.loc[raised.number, "reason"] == raised.reason
    assert loaded.runs[raised.number].info.status == "FAILED"
    told = study_states(engine_home, "toy-1")
    assert [told[row.number] == "FAIL" for row in outcome.rows] == [row.state == "failed" for row in outcome.rows]
    assert_every_step_once(loaded)


@pytest.mark.integration
def test_a_users_own_loop_without_epochs(local_ray, engine_home, toy_sweep, monkeypatch):
    own = toy_sweep(
        trainable="toy_trainable:plain", objectives={"score": "min"}, samples=None, sampler="grid",
        space=None, vary={"x": [1.0, 2.0]}, seeds=[0, 1], scheduler="none",
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("seisweep.charts.over_seeds.learning_curves", out_of_ink)
        outcome = launch(own, LOCAL, engine_home, name="own-1")
    assert outcome.state == "finished", "a figure that cannot be drawn costs nothing else"
    assert [(row.params["x"], row.epoch, row.metrics["score"]) for row in outcome.rows] == [
        (1.0, 3, 3.0), (2.0, 3, 4.0), (1.0, 3, 3.0), (2.0, 3, 4.0),
    ]  # fmt: skip
    loaded = results.load("own-1", outcome.tracking_uri)
    assert list(loaded.trials["seed"]) == [0, 0, 1, 1]
    assert loaded.best() in (0, 2)
    assert list(loaded.conditions()["mean"]) == [3.0, 4.0]
    assert not (loaded.files / "conditions").exists()
    resume("own-1", None, engine_home)
    assert (loaded.files / "conditions" / "learning_curves.png").exists(), "a later session makes up for it"


def out_of_ink(*_: object) -> None:
    raise RuntimeError("out of ink")


@pytest.mark.integration
def test_an_objective_that_nobody_reports(local_ray, engine_home, toy_sweep):
    outcome = launch(toy_sweep(objectives={"dev/f2": "max"}, samples=1), LOCAL, engine_home, name="toy-1")
    assert (outcome.state, outcome.best) == ("failed", None)
    assert outcome.rows[0].reason.startswith("ended without reporting dev/f2; it reported dev/f1")


@pytest.mark.integration
def test_a_time_budget_ends_a_sweep(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(samples=None, time_budget_s=6, base={"sleep_s": 1.0, "training.epochs": 50}, scheduler="none")
    outcome = launch(sweep, LOCAL, engine_home, name="toy-1")
    assert outcome.state == "finished"
    assert {row.state for row in outcome.rows} == {"stopped"}
    assert outcome.rows[0].reason == "the sweep's time budget is used up"
    assert set(study_states(engine_home, "toy-1")) <= {"PRUNED", "FAIL"}


DRIVER = """
import sys
from pathlib import Path
from search_spaces.sweep import Sweep
from seisweep.engine.launch import launch, resume
from seisweep.screen.live import PlainLines
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

if __name__ == "__main__":
    home, marks = Path(sys.argv[1]), sys.argv[2]
    sweep = Sweep(
        name="toy", trainable="toy_trainable:train", space="toy_trainable:space", samples=3, scheduler="none",
        base={"training.epochs": 8, "sleep_s": 0.25, "marks": marks},
    )
    if Home(home).sweep_file("toy-1").exists():
        outcome = resume("toy-1", None, Home(home), concurrency=2, watch=PlainLines())
    else:
        outcome = launch(sweep, Profile(), Home(home), name="toy-1", concurrency=2, watch=PlainLines())
    sys.exit({"finished": 0, "interrupted": 130}[outcome.state])
"""


def start_driver(home: Home, marks: Path, until_reports: int) -> subprocess.Popen:
    """A sweep in a process of its own, handed over when it has had so many reports."""
    script = home.root.parent / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, str(script), str(home.root), str(marks)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ledger = home.sweep_dir("toy-1") / "ledger.jsonl"
    for _ in range(1200):
        if driver.poll() is not None:
            raise AssertionError(f"the driver ended by itself: {driver.communicate()}")
        if ledger.exists() and ledger.read_text().count('"report"') >= until_reports:
            return driver
        time.sleep(0.1)
    driver.kill()
    raise AssertionError("the driver never got so far")


def assert_nothing_lost_nothing_twice(home: Home, marks: Path) -> None:
    outcome = resume("toy-1", None, home)
    assert outcome.state == "finished"
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 8)] * 3
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert len(loaded.runs) == 3
    assert {run.info.status for run in [loaded.parent, *loaded.runs.values()]} == {"FINISHED"}
    assert_every_step_once(loaded)
    assert study_states(home, "toy-1") == ["COMPLETE"] * 3
    for file in marks.iterdir():
        epochs = [int(line) for line in file.read_text().split()]
        assert epochs.count(1) == 1, f"{file.name} began again: {epochs}"
        assert len(epochs) <= 8 + 2, f"more than the epochs under way were lost: {epochs}"


@pytest.mark.integration
def test_interrupted_twice_and_resumed(engine_home, tmp_path, local_ray):
    """By Ctrl-C in a terminal, then as `timeout` does it: both tell the whole process group."""
    (marks := tmp_path / "marks").mkdir()
    for sent, until_reports in ((signal.SIGINT, 5), (signal.SIGTERM, 9)):
        driver = start_driver(engine_home, marks, until_reports)
        os.killpg(driver.pid, sent)
        out, err = driver.communicate(timeout=120)
        assert driver.returncode == 130, err
        assert out == ""
        assert "stopping: running trials keep their last checkpoint" in err
        assert "Traceback" not in err
        loaded = results.load("toy-1", engine_home.mlflow_uri)
        assert {run.info.status for run in [loaded.parent, *loaded.runs.values()]} == {"KILLED"}
    assert_nothing_lost_nothing_twice(engine_home, marks)


class DriverDies(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.mark.integration
def test_stopped_between_the_final_report_and_its_checkpoint(local_ray, engine_home, toy_sweep, monkeypatch):
    """The model's files travel in that checkpoint: the trial says its final report again."""
    list_checkpoint = Ledger.checkpoint

    def die_before_the_last(ledger, number, epoch, place, final=False):
        if final:
            raise DriverDies
        list_checkpoint(ledger, number, epoch, place, final)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "checkpoint", die_before_the_last)
        with pytest.raises(DriverDies):
            launch(toy_sweep(samples=1), LOCAL, engine_home, name="toy-1")
    ledger = Ledger(engine_home.sweep_dir("toy-1") / "ledger.jsonl")
    ledger.close()
    assert ledger.trials[0].final
    outcome = resume("toy-1", None, engine_home)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)]
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert (loaded.artifacts(0) / "model.txt").read_text() == "x = 0.5"
    assert_every_step_once(loaded)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"trainable": "nothing"}, "no trainable named nothing"),
        ({"base": {"y": 1}}, "unknown key y"),
        ({"base": {"bad_x": 1.5}}, "bad_x = 1.5: the toy's data is not there"),
        ({"sampler": "grid"}, "a grid needs lists: x is the range 0..1"),
        ({"space": "toy_trainable:nowhere"}, "space toy_trainable:nowhere cannot be loaded"),
        (
            {"space": None, "sampler": "grid", "vary": {"size": [1, 2], "label": ["none", "square"]}},
            r"a square has size 1, not 2 \(a point of the grid: size=2 label=square\)",
        ),
        (
            {"space": None, "sampler": "grid", "vary": {"x": [0.5], "data.share": [1.0, 0.5, 0.01]}},
            "data.share = 0.01: leaves nothing",
        ),
    ],
)
def test_what_is_refused_leaves_nothing_behind(tmp_path, toy_sweep, fields, complaint):
    home = Home(tmp_path / "home")
    with pytest.raises(ValueError, match=complaint) as caught:
        launch(toy_sweep(**fields), LOCAL, home, name="toy-1")
    assert "\n" not in str(caught.value)
    assert not home.root.exists()


@pytest.mark.integration
def test_trials_that_never_fit_are_refused(local_ray, engine_home, toy_sweep):
    with pytest.raises(ValueError, match=r"a trial of 4 workers of 1 CPU does not fit: the machines have 2 CPU"):
        launch(toy_sweep(workers=4), LOCAL, engine_home, name="toy-1")
    assert not engine_home.sweep_dir("toy-1").exists()


@pytest.mark.integration
def test_a_sweep_that_does_not_fit_here_is_not_resumed(local_ray, engine_home, toy_sweep):
    begun = Launch(
        folder=engine_home.sweep_dir("toy-1"), id="id", name="toy-1", sweep=toy_sweep(workers=4), profile=LOCAL,
        note="", created="", tags={"data_fingerprint": "toy"},
    )  # fmt: skip
    begun.write()
    with pytest.raises(ValueError, match="a trial of 4 workers of 1 CPU does not fit"):
        resume("toy-1", None, engine_home)
    assert (begun.folder / "ledger.jsonl").read_text() == ""
    with pytest.raises(ValueError, match="toy-1"):
        results.load("toy-1", engine_home.mlflow_uri)
    assert sweep_state(engine_home, "toy-1") == "interrupted", "and its lock is free again"


def test_resuming_what_does_not_exist(engine_home):
    with pytest.raises(ValueError, match="no sweep named toy-9 in"):
        resume("toy-9", LOCAL, engine_home)
    assert not engine_home.sweep_dir("toy-9").exists()


def test_data_that_changed_are_not_resumed_upon(engine_home, toy_sweep):
    begun = Launch(
        folder=engine_home.sweep_dir("toy-1"), id="id", name="toy-1", sweep=toy_sweep(), profile=LOCAL, note="",
        created="", tags={"data_fingerprint": "another toy"},
    )  # fmt: skip
    begun.write()
    with pytest.raises(ValueError, match=r"have changed since it began \(fingerprint another toy, now toy\)"):
        resume("toy-1", LOCAL, engine_home)


def test_a_ledger_without_a_driver_is_interrupted(engine_home):
    engine_home.sweep_dir("toy-1").mkdir()
    Ledger(engine_home.sweep_dir("toy-1") / "ledger.jsonl").close()
    assert sweep_state(engine_home, "toy-1") == "interrupted"
