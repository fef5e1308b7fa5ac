"""A Ray cluster of several nodes on this machine, whose processes find the tests' modules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent


@contextmanager
def ray_nodes(*cpus: int) -> Iterator[Any]:
    """So many CPUs on each node, the first of which is the head."""
    import ray
    from ray.cluster_utils import Cluster
    from seisweep.quiet import quiet

    quiet()
    ray.shutdown()  # the one that other tests share: they start it again
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0]})
        for more in cpus[1:]:
            cluster.add_node(num_cpus=more)
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()
