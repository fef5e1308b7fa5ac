"""Nodes that lack something get no trial, are named, and cost the sweep nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from seisweep import load

from cluster.cluster import Cluster
from cluster.commands import REPOSITORY, Command
from cluster.whole import whole_record

pytestmark = pytest.mark.integration
ON_THE_REST = {"head"}


def sweep_on(cluster: Cluster, name: str, records: Path) -> Command:
    words = ["--name", name, "--samples", "2", "--profile", cluster.profile(cpus_per_worker=2)]
    settings = ["training.epochs=2", f"records={records}"]
    return cluster.head.run(
        "seisweep", "run", "cluster.sweeps:toy", *words, *settings, env=cluster.user(cluster.new_folder())
    )


def assert_left_out(cluster: Cluster, done: Command, name: str, **reasons: str) -> None:
    """These machines were named with what they lack, at once and in the last line, and all trials ran elsewhere."""
    assert done.code == 0, done
    lines = done.stderr.rstrip().splitlines()
    for machine, reason in reasons.items():
        node = cluster.lab.machines[machine]
        said = f"node {machine} ({node.address}) is left out: {reason}"
        assert any(line.endswith(said) for line in lines), done
        assert f"{machine} ({node.address}): {reason}" in lines[-1]
    assert lines[-1].startswith(f"{len(reasons)} nodes left out: ")
    assert set(whole_record(cluster, name, samples=2, epochs=2)["machine"]) == ON_THE_REST
    with cluster.from_laptop():
        parent = load(name, cluster.tracking_uri).parent
        kept = MlflowClient(cluster.tracking_uri).get_run(parent.info.run_id).data.tags["nodes_left_out"]
    assert all(reason in kept for reason in reasons.values())


def test_nodes_without_data_module_or_seisweep_are_named_and_left_out(cluster: Cluster) -> None:
    folder = Path(cluster.new_folder("records"))
    cluster.head.path(folder).mkdir()
    cluster.head.path(folder / "waveforms").write_text("")
    no_data = f"records = {folder / 'waveforms'}: no such file"
    cluster.w1.hide(folder)

    cluster.w2.hide(REPOSITORY / "tests")
    done = sweep_on(cluster, "no-module", folder / "waveforms")
    no_module = "trainable toy_trainable:train cannot be loaded: No module named 'toy_trainable'"
    assert_left_out(cluster, done, "no-module", w1=no_data, w2=no_module)
    cluster.w2.show(REPOSITORY / "tests")

    cluster.w2.hide(REPOSITORY / "platform")
    done = sweep_on(cluster, "no-seisweep", folder / "waveforms")
    assert_left_out(cluster, done, "no-seisweep", w1=no_data, w2="seisweep is not installed there")

    seen = cluster.head.run(
        "seisweep", "doctor", "--profile", cluster.profile(), env=cluster.user(cluster.new_folder())
    )
    assert seen.code == 1, seen
    lines = seen.stdout.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("fails")] == [
        f"w2 ({cluster.w2.address}): seisweep is not installed there"
    ]
    sound = [line.split() for line in lines if line.startswith(("head (", "w1 ("))]
    assert [row[-5:] for row in sound] == [["-", "ok", row[-3], "s", "yes"] for row in sound], seen
    assert f"its dashboard: http://{cluster.head.address}:8265" in seen.stdout
