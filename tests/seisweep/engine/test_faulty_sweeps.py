"""What goes wrong in one trial costs no other: how whole sweeps end, in the study, MLflow and the closing lines."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from seisweep import results
from seisweep.engine.launch import launch, resume
from seisweep.record.ledger import Ledger
from seisweep.screen.ending import closing_lines
from seisweep.settings import free_disk
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration
FAULTS = ["freeze", "none", "nan", "raise", "die", "none-2", "hog", "none-3"]
"""The one that hangs comes first: the others run beside it."""
REASONS = {
    "nan": "train/loss is nan at epoch 2: the training diverged",
    "raise": "RuntimeError: the toy was told to fail",
    "die": "its process died twice: ",
    "hog": "over its memory limit: ",
    "freeze": "no report for ",
}


def study_states(home: Home, name: str) -> list[str]:
    file = str(home.sweep_dir(name) / "study.journal")
    storage = optuna.storages.journal.JournalStorage(optuna.storages.journal.JournalFileBackend(file))
    return [trial.state.name for trial in optuna.load_study(study_name=None, storage=storage).trials]


# The time to start a trial's processes counts, on a busy machine too.
@pytest.mark.parametrize(("runner", "report_timeout_s"), [("in-process", 20), ("ray-train", 60)])
def test_five_ways_to_fail(local_ray, engine_home, toy_sweep, runner, report_timeout_s):
    sweep = toy_sweep(
        space=None, sampler="grid", scheduler="none", samples=None, vary={"fault": FAULTS}, memory_gb_per_worker=1.2
    )
    profile = Profile(runner=runner, report_timeout_s=report_timeout_s)
    outcome = launch(sweep, profile, engine_home, name="toy-1")
    assert outcome.state == "finished"
    rows = {row.params["fault"]: row for row in outcome.rows}
    assert {fault: row.state for fault, row in rows.items()} == {
        fault: "failed" if fault in REASONS else "done" for fault in FAULTS
    }
    for fault, reason in REASONS.items():
        assert rows[fault].reason.startswith(reason)
    assert "take a smaller training.batch_size" in rows["hog"].reason
    assert study_states(engine_home, "toy-1") == ["FAIL" if fault in REASONS else "COMPLETE" for fault in FAULTS]
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert {run.info.status for number, run in loaded.runs.items() if FAULTS[number] in REASONS} == {"FAILED"}
    assert list(loaded.trials["reason"].fillna("")) == [row.reason for row in outcome.rows]
    lines = closing_lines(outcome)
    assert "5 of 8 trials failed:" in lines
    assert f"  trial {rows['nan'].number}: {rows['nan'].reason}" in lines


@pytest.mark.parametrize("runner", ["in-process", "ray-train"])
def test_out_of_memory_goes_on_with_a_smaller_batch(local_ray, engine_home, toy_sweep, tmp_path, runner):
    """A batch of 8 takes 1.6 GB, one of 2 fits beside what the process itself takes."""
    sweep = toy_sweep(
        samples=1, scheduler="none", memory_gb_per_worker=1.2, base={"mb_per_window": 200, "marks": str(tmp_path)}
    )
    outcome = launch(sweep, Profile(runner=runner, retry_oom=True), engine_home, name="toy-1")
    assert [(row.state, row.epoch, row.reason) for row in outcome.rows] == [("done", 4, "")]
    loaded = results.load("toy-1", outcome.tracking_uri)
    settings = loaded.config(0)["training"]
    assert settings["batch_size"] * settings["accumulation"] == 8
    assert settings["batch_size"] in (2, 4)
    batch, accumulation = settings["batch_size"], settings["accumulation"]
    assert loaded.tags(0)["changed_settings"] == f"training.batch_size={batch}, training.accumulation={accumulation}"
    ledger = Ledger(engine_home.sweep_dir("toy-1") / "ledger.jsonl")
    ledger.close()
    assert ledger.trials[0].changes == {"training.batch_size": batch, "training.accumulation": accumulation}


def test_a_batch_that_cannot_be_halved_fails(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(
        samples=1, memory_gb_per_worker=1, base={"mb_per_window": 1500, "training.batch_size": 2}, scheduler="none"
    )
    outcome = launch(sweep, Profile(retry_oom=True), engine_home, name="toy-1")
    assert outcome.state == "failed"
    assert outcome.rows[0].reason.startswith("over its memory limit: ")


@pytest.mark.parametrize("runner", ["in-process", "ray-train"])
def test_a_full_disk_fails_no_trial(local_ray, engine_home, toy_sweep, tmp_path, runner):
    """The trial that met it is open, and done once there is room."""
    sweep = toy_sweep(
        space=None,
        sampler="grid",
        scheduler="none",
        samples=None,
        vary={"fault": ["full", "none"]},
        base={"marks": str(tmp_path)},
    )
    outcome = launch(sweep, Profile(runner=runner), engine_home, name="toy-1", concurrency=1)
    assert outcome.state == "interrupted"
    assert [row.state for row in outcome.rows] == ["interrupted"]
    assert outcome.obstacle == "disk full at /data/checkpoint: free some space"
    assert "interrupted, disk full at /data/checkpoint: free some space, then: seisweep resume toy-1" in closing_lines(
        outcome
    )
    assert study_states(engine_home, "toy-1") == ["RUNNING", "WAITING"]
    outcome = resume("toy-1", None, engine_home, concurrency=1)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)] * 2
    assert study_states(engine_home, "toy-1") == ["COMPLETE"] * 2
    epochs = (tmp_path / "x=0.5").read_text().split()
    assert epochs == ["1", "2", "2", "3", "4", "1", "2", "3", "4"], "on from its checkpoint"


def test_little_room_ends_a_running_sweep_in_order(local_ray, engine_home, toy_sweep, monkeypatch):
    sweep = toy_sweep(samples=2, scheduler="none", base={"training.epochs": 6, "sleep_s": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(free_disk, "LAST_FREE_BYTES", 2**60)
        outcome = launch(sweep, Profile(), engine_home, name="toy-1")
    assert outcome.state == "interrupted"
    assert outcome.obstacle.startswith(f"disk full at {engine_home.sweep_dir('toy-1')} (")
    outcome = resume("toy-1", None, engine_home)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 6)] * 2


def test_a_ledger_that_cannot_be_written_ends_the_sweep(local_ray, engine_home, toy_sweep, monkeypatch):
    """The ninth line finds no room: nothing is lost but that epoch."""
    sweep = toy_sweep(samples=2, scheduler="none", base={"training.epochs": 4, "sleep_s": 0.3})
    write, lines = Ledger._write, []

    def full(ledger: Ledger, line: bytes) -> None:
        lines.append(line)
        if len(lines) > 8:
            with Path("/dev/full").open("ab", buffering=0) as file:
                file.write(line)
        write(ledger, line)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_write", full)
        outcome = launch(sweep, Profile(), engine_home, name="toy-1")
    assert outcome.state == "interrupted"
    assert outcome.obstacle.startswith("disk full")
    outcome = resume("toy-1", None, engine_home)
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)] * 2
    assert study_states(engine_home, "toy-1") == ["COMPLETE"] * 2


def test_checkpoints_keep_to_their_budget(local_ray, engine_home, toy_sweep):
    """Four trials of a checkpoint of 1 MB: one that is done keeps one, one under way two, or one where that is too
    much."""
    sweep = toy_sweep(samples=4, scheduler="none", base={"training.epochs": 4, "checkpoint_kb": 1000, "sleep_s": 0.2})
    outcome = launch(sweep, Profile(disk_budget_gb=0.0027), engine_home, name="toy-1", concurrency=1)
    assert outcome.state == "interrupted"
    assert [row.state for row in outcome.rows] == ["done", "done", "interrupted"]
    assert outcome.obstacle.startswith("3 checkpoints take 0.0031 GB, the budget is 0.0027 GB: give a larger")
    folders = engine_home.sweep_dir("toy-1").glob("tune/session-*/trial-*/checkpoint_*")
    assert len(list(folders)) == 3
    outcome = resume("toy-1", None, engine_home, limits={"disk_budget_gb": 0.1})
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4)] * 4


def test_more_memory_than_there_is_is_refused(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(memory_gb_per_worker=1e6)
    with pytest.raises(
        ValueError, match=r"a trial of 1 worker of 1 CPU and 1e\+06 GB of memory does not fit: .* GB of"
    ):
        launch(sweep, Profile(), engine_home, name="toy-1")
    assert not engine_home.sweep_dir("toy-1").exists()


def test_smaller_batches_want_a_batch(engine_home, toy_sweep):
    sweep = toy_sweep(trainable="toy_trainable:plain", objectives={"score": "max"})
    with pytest.raises(ValueError, match=r"--retry-oom: the configuration of toy_trainable:plain has no"):
        launch(sweep, Profile(retry_oom=True), engine_home, name="toy-1")


def test_a_full_storage_is_refused_before_the_start(tmp_path, toy_sweep, monkeypatch):
    monkeypatch.setattr(free_disk, "free_bytes", lambda place: 2**20 if place.name == "storage" else 2**40)
    home = Home(tmp_path / "home")
    with pytest.raises(ValueError, match=r"storage .*/storage is full: 1 MB free, 500 MB are needed"):
        launch(toy_sweep(), Profile(storage_path=str(tmp_path / "storage")), home, name="toy-1")
    assert list(tmp_path.iterdir()) == []
