"""Trials on Ray Train workers: reports and checkpoints reach Tune, and what a trial held is free after it."""

from __future__ import annotations

import time

import pytest
from seisweep import results
from seisweep.engine.launch import launch
from seisweep.engine.outcome import Silent, TrialRow
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration
TRAIN = Profile(runner="ray-train")


def wait_for_free_cpus(limit_s: float = 10.0) -> float:
    """Seconds until every CPU is free again and no worker lives in a placement group."""
    import ray
    from ray.util import placement_group_table

    start_s = time.monotonic()
    while time.monotonic() - start_s < limit_s:
        held = [group for group in placement_group_table().values() if group["state"] != "REMOVED"]
        if ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"] and not held:
            return time.monotonic() - start_s
        time.sleep(0.1)
    raise AssertionError(f"after {limit_s} s {ray.available_resources().get('CPU')} CPUs are free; held: {held}")


def test_early_stops_give_their_workers_back(local_ray, engine_home, toy_sweep):
    """Each trial wants both CPUs, so that the second could not begin if the first had kept one."""
    sweep = toy_sweep(
        space=None,
        vary={"x": [0.3, 0.9, 0.8]},
        sampler="grid",
        base={"training.epochs": 4, "sleep_s": 0.1},
        grace_epochs=1,
        reduction_factor=2,
        workers=2,
    )
    outcome = launch(sweep, TRAIN, engine_home, name="toy-1")
    assert [(row.state, row.epoch) for row in outcome.rows] == [("done", 4), ("stopped", 1), ("stopped", 1)]
    wait_for_free_cpus()
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert (loaded.artifacts(0) / "model.txt").read_text() == "x = 0.3"
    assert loaded.curves("dev/f1").loc[0].index.tolist() == [1, 2, 3, 4]
    assert not (engine_home.sweep_dir("toy-1") / "tune" / "train").exists()


def test_faults_of_workers(local_ray, engine_home, toy_sweep, tmp_path):
    """A worker that dies once goes on from its checkpoint; one that raises fails its trial with the reason."""
    sweep = toy_sweep(
        space=None,
        vary={"die_at": [3], "fail_at": [None, 2]},
        sampler="grid",
        scheduler="none",
        base={"training.epochs": 4, "sleep_s": 0.6, "marks": str(tmp_path)},
    )
    outcome = launch(sweep, TRAIN, engine_home, name="toy-1", concurrency=1)
    survived, raised = outcome.rows
    assert (survived.state, survived.epoch) == ("done", 4)
    assert (tmp_path / "died").exists()
    assert (raised.state, raised.reason) == ("failed", "RuntimeError: the toy was told to fail")
    epochs = [int(line) for line in (tmp_path / "x=0.5").read_text().split()]
    assert epochs[:5] == [1, 2, 3, 3, 4], "it began again at the epoch under way, not at the first"
    wait_for_free_cpus()


def test_workers_that_miss_another_one(local_ray, engine_home, toy_sweep, tmp_path):
    """The survivors' collective raises when a worker is killed: Train tries again. One that raised is to blame."""
    sweep = toy_sweep(
        trainable="toy_trainable:together",
        objectives={"score": "max"},
        space=None,
        samples=None,
        vary={"raises": [False, True], "marks": [str(tmp_path)]},
        sampler="grid",
        scheduler="none",
        workers=2,
    )
    outcome = launch(sweep, TRAIN, engine_home, name="toy-1", concurrency=1)
    killed, raised = outcome.rows
    assert (tmp_path / "died").exists()
    assert (killed.state, killed.epoch, killed.reason) == ("done", 3, "")
    assert (raised.state, raised.reason) == ("failed", "RuntimeError: rank 1 was told to fail")
    wait_for_free_cpus()


def test_trials_share_the_machine(local_ray, engine_home, toy_sweep):
    """Two trials at once, of two workers of half a CPU each."""
    busy: list[int] = []

    class Counting(Silent):
        def __init__(self) -> None:
            self.states: dict[int, str] = {}

        def trial_update(self, row: TrialRow) -> None:
            self.states[row.number] = row.state
            busy.append(list(self.states.values()).count("running"))

    sweep = toy_sweep(workers=2, cpus_per_worker=0.5, samples=2, scheduler="none", base={"training.epochs": 2})
    outcome = launch(sweep, TRAIN, engine_home, name="toy-1", watch=Counting())
    assert [row.state for row in outcome.rows] == ["done", "done"]
    assert max(busy) == 2
    wait_for_free_cpus()
