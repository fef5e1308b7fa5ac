"""A node that joins during a sweep gets a trial; one that ends in an orderly way gives its trial up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cluster.cluster import Cluster
from cluster.commands import Command, wait_until
from cluster.whole import checkpoints, whole_record

pytestmark = [pytest.mark.integration, pytest.mark.cluster_long]
JOINS_WITHIN_S = 30.0
"""After its Ray says that it has started."""
SAMPLES, EPOCHS = 3, 60


def begun_on(marks: Path) -> dict[str, float]:
    """Machines on which trials have begun, and when the last one did."""
    return {file.read_text(): file.stat().st_mtime for file in marks.glob("on-*")}


def test_a_node_that_joins_gets_a_trial_and_one_that_ends_gives_it_up(cluster: Cluster) -> None:
    cluster.w2.power_off()
    home, folder = cluster.new_folder(), cluster.new_folder("marks")
    (marks := cluster.head.path(folder)).mkdir()
    words = ["--name", "wandering", "--samples", str(SAMPLES), "--profile", cluster.profile(cpus_per_worker=2)]
    settings = [f"training.epochs={EPOCHS}", "sleep_s=1", f"marks={folder}"]
    driver = cluster.head.start(
        "seisweep", "run", "cluster.sweeps:wandering", *words, *settings, env=cluster.user(home)
    )
    wait_until_begun(driver, marks, {"head", "w1"})

    cluster.restart_ray("w2")
    joined_s = time.time()
    wait_until_begun(driver, marks, {"head", "w1", "w2"})
    assert begun_on(marks)["w2"] - joined_s <= JOINS_WITHIN_S

    wait_until(lambda: checkpoints(cluster, home, "wandering").get(2, 0) >= 2, 60, f"no checkpoint: {driver}")
    (agent,) = [process.pid for process in cluster.w2.processes() if "raylet/raylet" in process.title]
    os.kill(agent, signal.SIGTERM)
    assert driver.wait(400) == 0, driver
    assert "node w2 (10.88.0.3) is gone; it goes on from epoch" in driver.stderr, driver
    whole_record(cluster, "wandering", SAMPLES, EPOCHS)
    computed = [file.read_text().split() for file in marks.glob("x=*")]
    assert all(epochs.count("1") == 1 for epochs in computed), "a trial began again at the start"


def wait_until_begun(driver: Command, marks: Path, machines: set[str]) -> None:
    wait_until(
        lambda: driver.code is not None or machines <= set(begun_on(marks)),
        120,
        f"no trial on one of {machines}: {driver}",
    )
    assert driver.code is None, driver
