"""Several Ray nodes on this machine: a bad one gets no trial, a new one does, one about to leave gives its trial up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import ray_nodes
from seisweep.engine.launch import launch
from seisweep.engine.outcome import Silent
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that runs no trials."""
    with ray_nodes(0) as cluster:
        yield cluster


class Acts(Silent):
    """Does one thing after the other, each when a trial has got so far that its turn has come."""

    def __init__(self, *acts: tuple[Callable[[dict[int, Any]], bool], Callable[[], None]]) -> None:
        self.acts, self.rows = list(acts), {}
        self.lines: list[str] = []

    def trial_update(self, row: Any) -> None:
        self.rows[row.number] = row
        if self.acts and self.acts[0][0](self.rows):
            self.acts.pop(0)[1]()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def said(self, part: str) -> bool:
        return any(part in line for line in self.lines)


def running(epoch: int, at_least: int = 1) -> Callable[[dict[int, Any]], bool]:
    return lambda rows: sum(row.state == "running" and row.epoch >= epoch for row in rows.values()) >= at_least


def announce_that_it_leaves(cluster: Any, node: Any) -> None:
    ray = Path(sys.executable).with_name("ray")
    why = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test"]
    subprocess.run([ray, "drain-node", "--address", cluster.address, "--node-id", node.node_id, *why], check=True)


def test_a_bad_node_gets_no_trial_a_new_one_does_and_one_that_leaves_gives_its_trial_up(
    cluster, engine_home, toy_sweep, tmp_path
):
    (marks := tmp_path / "marks").mkdir()
    first = cluster.add_node(num_cpus=1)
    bad = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": ""})
    cluster.wait_for_nodes()
    begun_s = time.monotonic()
    watch = Acts(
        (running(1), lambda: cluster.add_node(num_cpus=1)),
        (running(2, at_least=2), lambda: announce_that_it_leaves(cluster, first)),
    )
    base = {"training.epochs": 60, "sleep_s": 0.5, "marks": str(marks)}
    sweep = toy_sweep(
        trainable="toy_trainable:train_and_say_where", samples=2, scheduler="none", time_budget_s=300, base=base
    )
    outcome = launch(sweep, Profile(ray_address=cluster.address), engine_home, name="toy-1", watch=watch)
    assert watch.acts == [], f"no two trials were under way after {time.monotonic() - begun_s:.0f} s: {watch.lines}"
    assert [(row.state, row.epoch, row.reason) for row in outcome.rows] == [("done", 60, "")] * 2, watch.lines
    ran_on = {file.name.removeprefix("on-") for file in marks.glob("on-*")}
    assert bad.node_id not in ran_on
    assert first.node_id in ran_on
    assert len(ran_on) == 2
    assert [reason for _, reason in outcome.nodes_left_out] == [
        reason for _, reason in outcome.nodes_left_out if "No module named" in reason or "not installed" in reason
    ]
    assert len(outcome.nodes_left_out) == 1
    assert outcome.exit_code == 0
    assert watch.said("has joined: trials run there too")
    assert watch.said("is about to leave; it goes on from epoch")
    epochs = [file.read_text().split() for file in marks.glob("x=*")]
    assert all(done.count("1") == 1 for done in epochs), "a trial began again at the start"


def test_without_a_good_node_a_sweep_leaves_no_trace(cluster, engine_home, toy_sweep):
    cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": ""})
    cluster.wait_for_nodes()
    before = files(engine_home.root)
    with pytest.raises(ValueError, match=r"no node can run a trial: .*(No module named|not installed)"):
        launch(toy_sweep(cpus_per_worker=1), Profile(ray_address=cluster.address), engine_home, name="toy-1")
    assert files(engine_home.root) == before


def files(root: Path) -> set[str]:
    """But for what SQLite keeps beside a database that is read."""
    return {str(file.relative_to(root)) for file in root.rglob("*") if not file.name.startswith("mlflow.db-")}
