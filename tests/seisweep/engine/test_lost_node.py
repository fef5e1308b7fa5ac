"""A machine of a cluster is lost in the middle of a sweep: its trials go on elsewhere, from their checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ray_nodes import ray_nodes
from seisweep.engine.launch import launch
from seisweep.engine.outcome import Silent
from seisweep.settings.profile import Profile

pytestmark = pytest.mark.integration


@pytest.fixture
def two_machines() -> Iterator[Any]:
    """A head and another node of one CPU each, so that two trials at a time are on one each."""
    with ray_nodes(1, 1) as cluster:
        yield cluster


class LosesNode(Silent):
    """Kills the node that is not the head once two trials have a checkpoint."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.rows = cluster, {}
        self.lines: list[str] = []
        self.lost: threading.Thread | None = None

    def trial_update(self, row: Any) -> None:
        self.rows[row.number] = row
        under_way = [row for row in self.rows.values() if row.state == "running" and row.epoch >= 2]
        if self.lost is None and len(under_way) == 2:
            (other,) = self.cluster.worker_nodes
            self.lost = threading.Thread(target=self.cluster.remove_node, args=(other, False))
            self.lost.start()

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("runner", ["in-process", "ray-train"])
def test_all_trials_finish_on_the_machine_that_is_left(two_machines, engine_home, toy_sweep, tmp_path, runner):
    (marks := tmp_path / "marks").mkdir()
    sweep = toy_sweep(samples=2, scheduler="none", base={"training.epochs": 12, "sleep_s": 1.0, "marks": str(marks)})
    profile = Profile(runner=runner, ray_address=two_machines.address)
    watch = LosesNode(two_machines)
    outcome = launch(sweep, profile, engine_home, name="toy-1", watch=watch)
    assert watch.lost is not None, "the node was there to the end"
    watch.lost.join()
    assert [(row.state, row.epoch, row.reason) for row in outcome.rows] == [("done", 12, "")] * 2, watch.lines
    epochs = {file.name: [int(line) for line in file.read_text().split()] for file in marks.iterdir()}
    assert all(done.count(1) == 1 for done in epochs.values()), f"a trial began again at the start: {epochs}"
    assert runner == "ray-train" or any("is gone; it goes on from epoch" in line for line in watch.lines)
