"""A sweep leaves nothing on the machines that it ran on but what it was asked for."""

from __future__ import annotations

import pytest

from cluster.cluster import Cluster
from cluster.machines import Machine

pytestmark = [pytest.mark.integration, pytest.mark.cluster_long]


@pytest.mark.parametrize("runner", ["in-process", "ray-train"])
@pytest.mark.parametrize("storage", ["/home/shared/storage", "s3://seisweep/litter"])
def test_nothing_of_a_sweep_is_left_in_temporary_folders_of_any_node(
    cluster: Cluster, runner: str, storage: str
) -> None:
    before = {node.name: temporary(node) for node in cluster.nodes}
    profile = cluster.profile(runner=runner, cpus_per_worker=2, storage_path=storage)
    options = ["--name", f"litter-{runner}-{storage[:2].strip('/')}", "--samples", "3", "--profile", profile]
    command = ["seisweep", "run", "cluster.sweeps:toy", *options, "training.epochs=2"]
    done = cluster.head.run(*command, env=cluster.user(cluster.new_folder()))
    assert done.code == 0, done
    left = {node.name: temporary(node) - before[node.name] for node in cluster.nodes}
    assert left == {node.name: set() for node in cluster.nodes}


def temporary(node: Machine) -> set[str]:
    """Files and folders there, but Ray's own."""
    listed = node.run("find", "/tmp", "/dev/shm", "-path", "/tmp/ray", "-prune", "-o", "-print")
    return set(listed.stdout.splitlines())
