"""One MLflow behind a password: what offline nodes bring, what a laptop reads, what two users want at once."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from promotable import write_waveforms
from seisweep.record import tags

from cluster.cluster import Cluster
from cluster.commands import wait_until
from cluster.services import TRACKING_LOGIN
from cluster.whole import whole_record

pytestmark = pytest.mark.integration


def runs_of(cluster: Cluster, name: str) -> Counter[str]:
    """How many runs stand for each trial of a sweep, and for the sweep itself."""
    with cluster.from_laptop():
        client = MlflowClient(tracking_uri=cluster.tracking_uri)
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = client.search_runs(experiments, f"tags.sweep = '{name}'")
        return Counter(run.data.tags.get("trial", "sweep") for run in found)


def openings_of(cluster: Cluster) -> list[str]:
    """States of all promotions."""
    with cluster.from_laptop():
        client = MlflowClient(tracking_uri=cluster.tracking_uri)
        experiment = client.get_experiment_by_name(tags.PROMOTIONS)
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return [run.data.tags[tags.STATE] for run in found]


def test_an_offline_sweep_is_there_once_however_often_it_is_merged(cluster: Cluster) -> None:
    home, moved = cluster.new_folder(), cluster.new_folder("moved")
    user = cluster.user(home)
    offline = cluster.profile(tracking_uri=None, storage_path=None)
    command = ["seisweep", "run", "cluster.sweeps:toy", "--name", "offline", "--samples", "2", "training.epochs=2"]
    done = cluster.head.run(*command, "--profile", offline, env=user)
    assert done.code == 0, done
    assert runs_of(cluster, "offline") == Counter()
    merge = ["seisweep", "merge", "offline", "--to", cluster.tracking_uri]
    first = cluster.head.run(*merge, env=user)
    assert (first.code, first.stdout) == (0, "offline\n"), first
    whole_record(cluster, "offline", samples=2, epochs=2)
    cluster.head.path(home).rename(cluster.head.path(moved))
    again = cluster.w1.run(*merge, env=cluster.user(moved))
    assert again.code == 0, again
    assert "all of it was there already" in again.stderr
    whole_record(cluster, "offline", samples=2, epochs=2)
    assert runs_of(cluster, "offline") == Counter({"sweep": 1, "0": 1, "1": 1})


def test_of_two_users_with_one_name_at_once_exactly_one_gets_it(cluster: Cluster) -> None:
    homes = {node: cluster.new_folder() for node in (cluster.w1, cluster.w2)}
    command = ["seisweep", "run", "cluster.sweeps:toy", "--name", "wanted-by-two", "--samples", "1"]
    command += ["training.epochs=1", "--profile", cluster.profile()]
    launched = [(node.start(*command, env=cluster.user(home)), home) for node, home in homes.items()]
    codes = [one.wait(200) for one, _ in launched]
    assert sorted(codes) == [0, 2], launched
    refused, its_home = launched[codes.index(2)]
    assert "has a sweep named wanted-by-two" in refused.stderr.splitlines()[-1], refused
    assert list(cluster.head.path(its_home).glob("sweeps/*")) == []
    whole_record(cluster, "wanted-by-two", samples=1, epochs=1)
    assert runs_of(cluster, "wanted-by-two") == Counter({"sweep": 1, "0": 1})


@pytest.mark.cluster_long
def test_a_laptop_reads_promotes_and_picks_with_address_and_password_alone(
    cluster: Cluster, earthquakes: Path, teacher_file: Path
) -> None:
    """Its first promotion is killed once the test split is open, and is one with the second."""
    folder = cluster.new_folder("data")
    for machine in (cluster.head, cluster.laptop):  # a promotion reads the data: by the name that the sweep has
        shutil.copytree(earthquakes, machine.path(f"{folder}/earthquakes"))
    shutil.copytree(teacher_file.parent, cluster.head.path(f"{folder}/teacher"))
    settings = [f"data.dataset={folder}/earthquakes", f"teacher.weights={folder}/teacher/{teacher_file.name}"]
    settings += ["data.dev_windows_per_trace=2", "student.base_channels=4", "student.pooling=4", "training.epochs=1"]
    settings += ["training.steps_per_epoch=5", "training.batch_size=8", "export.calibration_windows=8"]
    train = ["seisweep", "train", "distillation", "--name", "of-the-cluster", *settings, "--profile", cluster.profile()]
    done = cluster.head.run(*train, env=cluster.user(cluster.new_folder()))
    assert done.code == 0, done

    user = {"MLFLOW_TRACKING_URI": cluster.tracking_uri, "SEISWEEP_HOME": "/home/user/reads", **TRACKING_LOGIN}
    write_waveforms(cluster.laptop.path("/home/user/day.mseed"))
    killed = cluster.laptop.start("seisweep", "promote", "of-the-cluster", env=user)
    wait_until(lambda: openings_of(cluster) == ["running"], 120, lambda: f"the test split is not opened: {killed}")
    killed.end()
    assert openings_of(cluster) == ["running"]
    best = "print(seisweep.load('of-the-cluster').best())"
    for words in (
        ["seisweep", "results", "of-the-cluster"],
        ["python", "-c", f"import seisweep; {best}"],
        ["seisweep", "report", "of-the-cluster", "--output", "/home/user/page.html"],
        ["seisweep", "promote", "of-the-cluster"],
        ["seisweep", "pick", "of-the-cluster", "/home/user/day.mseed"],
        ["seisweep", "pick", "models:/of-the-cluster@champion", "/home/user/day.mseed"],
    ):
        done = cluster.laptop.run(*words, env=user)
        assert done.code == 0, done
    assert openings_of(cluster) == ["done"]
    assert not cluster.laptop.path("/home/user/reads/sweeps/of-the-cluster").exists()
