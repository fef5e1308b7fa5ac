"""Power, cables and servers that fail in the middle of a sweep on three nodes: nothing is lost, nothing twice."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from seisweep import load
from seisweep.settings.overrides import nest

from cluster.cluster import Cluster
from cluster.commands import Command, wait_until
from cluster.trainings import read_notes, settings_as_words
from cluster.whole import checkpoints, epochs_computed, whole_record
from trainables import metrics
from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun

pytestmark = [pytest.mark.integration, pytest.mark.cluster_long]
SAMPLES = 3
"""Trials, one on each node at a time."""
OUTAGE_S = 30.0


class Toys:
    """A sweep of the toy under way, on all three nodes."""

    def __init__(self, cluster: Cluster, name: str, epochs: int, **fields: Any) -> None:
        self.cluster, self.name, self.epochs = cluster, name, epochs
        self.home, self.marks = cluster.new_folder(), cluster.new_folder("marks")
        cluster.head.path(self.marks).mkdir()
        self.profile = cluster.profile(cpus_per_worker=2, **fields)
        settings = [f"training.epochs={epochs}", "sleep_s=1", f"marks={self.marks}"]
        options = ["--name", name, "--samples", str(SAMPLES), "--profile", self.profile]
        self.driver = self.seisweep("run", "cluster.sweeps:toy", *options, *settings)

    def seisweep(self, *words: str) -> Command:
        return self.cluster.head.start("seisweep", *words, env=self.cluster.user(self.home))

    def wait_for_checkpoints(self, epoch: int = 2) -> None:
        """Until each trial has one of that epoch."""

        def there() -> bool:
            assert self.driver.code is None, self.driver
            found = checkpoints(self.cluster, self.home, self.name)
            return len(found) == SAMPLES and min(found.values()) >= epoch

        wait_until(there, 120, f"no checkpoints: {self.driver}")

    def assert_whole(self) -> None:
        whole_record(self.cluster, self.name, SAMPLES, self.epochs)
        computed = epochs_computed(self.cluster.head.path(self.marks))
        assert all(done.count(1) == 1 for done in computed.values()), f"a trial began again at the start: {computed}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums as a worker of one CPU makes them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def unplugged(cluster: Cluster) -> tuple[Callable[[], None], Callable[[], None]]:
    return cluster.w1.unplug, cluster.w1.plug


def without_postgres(cluster: Cluster) -> tuple[Callable[[], None], Callable[[], None]]:
    return cluster.postgres.pause, cluster.postgres.go_on


@pytest.mark.parametrize("outage", [unplugged, without_postgres])
def test_an_outage_of_half_a_minute_costs_nothing(cluster: Cluster, outage: Callable) -> None:
    toys = Toys(cluster, f"outage-{outage.__name__}", epochs=20)
    toys.wait_for_checkpoints()
    begin, end = outage(cluster)
    begin()
    time.sleep(OUTAGE_S)
    end()
    assert toys.driver.wait(300) == 0, toys.driver
    toys.assert_whole()


def test_storage_in_s3_through_a_stop_of_its_server_a_kill_of_the_driver_and_a_resume(cluster: Cluster) -> None:
    toys = Toys(cluster, "in-s3", epochs=20, storage_path=f"{cluster.bucket_uri}/sweeps")
    toys.wait_for_checkpoints()
    cluster.s3.pause()
    time.sleep(OUTAGE_S)
    cluster.s3.go_on()
    toys.wait_for_checkpoints(epoch=5)
    toys.driver.send(signal.SIGKILL)
    assert toys.driver.wait(30) == -signal.SIGKILL
    resumed = toys.seisweep("resume", toys.name)
    assert resumed.wait(300) == 0, resumed
    toys.assert_whole()


def test_a_trial_of_a_node_whose_power_is_cut_goes_on_elsewhere_loss_by_loss(
    cluster: Cluster, earthquakes: Path, teacher_file: Path, tmp_path: Path
) -> None:
    folder, home = cluster.new_folder("data"), cluster.new_folder()
    here = cluster.head.path(folder)
    shutil.copytree(earthquakes, here / "earthquakes")
    shutil.copytree(teacher_file.parent, here / "teacher")
    settings: dict[str, Any] = {
        "data.dataset": f"{folder}/earthquakes",
        "data.dev_windows_per_trace": 2,
        "teacher.weights": f"{folder}/teacher/{teacher_file.name}",
        "student.base_channels": 4,
        "student.pooling": 4,
        "training.epochs": 6,
        "training.steps_per_epoch": 3,
        "training.batch_size": 8,
        "training.precision": "fp32",
        "export.enabled": False,
    }
    noting = {"notes": folder, "pause_s": 3}
    words = settings_as_words(settings | noting)
    # Of a node's two CPUs: one trial a node, that computes in one thread, as this process does.
    options = ["--name", "power-cut", "--seed", "0,1,2", "--profile", cluster.profile(cpus_per_worker=1.5)]
    driver = cluster.head.start(
        "seisweep", "run", "cluster.trainings:distil_seeds", *options, *words, env=cluster.user(home)
    )

    def on_w2() -> list[dict[str, Any]]:
        return [note for note in read_notes(here) if note["machine"] == "w2"]

    wait_until(lambda: driver.code is not None or len(on_w2()) >= 2, 180, f"no trial on w2: {driver}")
    assert driver.code is None, driver
    seed = int(on_w2()[0]["what"].removeprefix("seed "))
    wait_until(lambda: checkpoints(cluster, home, "power-cut").get(seed, 0) >= 2, 60, "no checkpoint")
    cluster.w2.power_off()
    assert driver.wait(400) == 0, driver
    its = [note for note in read_notes(here) if note["what"] == f"seed {seed}" and not note["final"]]
    assert its[-1]["machine"] != "w2"
    assert [note["epoch"] for note in its].count(1) == 1, f"it began again at the start: {its}"

    moved = {"data.dataset": str(earthquakes), "teacher.weights": str(teacher_file), "data.cache_dir": str(tmp_path)}
    config = DistillationConfig.model_validate(nest(settings | moved | {"seed": seed}))
    with one_thread():
        train(config, run := LocalRun(tmp_path / "uninterrupted"))
    names = [metrics.TRAIN_LOSS, metrics.DEV_LOSS]
    with cluster.from_laptop():
        curves = load("power-cut", cluster.tracking_uri).curves(*names).loc[seed]
    expected = [[report[name] for name in names] for report in run.reports[:-1]]
    assert curves.index.tolist() == list(range(1, 7))
    for found, wanted in zip(curves[names].to_numpy().tolist(), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)
