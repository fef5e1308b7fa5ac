"""One cluster for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cluster.cluster import Cluster, why_not


@pytest.fixture(scope="package")  # made once, and gone with the last test here: it takes 2 GB of memory
def cluster_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Skips where this machine cannot make one; with `SEISWEEP_REQUIRE_CLUSTER=1` that is a failure."""
    if reason := why_not():
        message = f"no cluster of several machines can be made here: {reason}"
        if os.environ.get("SEISWEEP_REQUIRE_CLUSTER"):
            pytest.fail(message)
        pytest.skip(message)
    with Cluster(tmp_path_factory.mktemp("cluster") / "disks") as made:
        yield made


@pytest.fixture
def cluster(cluster_of_all_tests: Cluster) -> Cluster:
    """The cluster in order: everything on, plugged in and running."""
    cluster_of_all_tests.heal()
    return cluster_of_all_tests
