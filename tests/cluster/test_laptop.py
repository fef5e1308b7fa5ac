"""From a laptop that is not a node of the cluster: sweeps sent there as jobs, tokens, passwords, addresses."""

from __future__ import annotations

import re

import pytest

from cluster.cluster import JOBS_PORT, PORT, Cluster
from cluster.commands import HOME, Command, wait_until
from cluster.machines import Machine
from cluster.services import S3_KEYS, TRACKING_LOGIN
from cluster.whole import checkpoints, epochs_computed, whole_record

pytestmark = pytest.mark.integration

OWN_CODE = """
from search_spaces.sweep import Sweep
from toy_trainable import ToyConfig, train as train_the_toy

def train(config: ToyConfig, run):
    train_the_toy(config, run)

def sweep():
    return Sweep(
        name="own", trainable="own_code:train", space="toy_trainable:space", scheduler="none", sampler="random"
    )
"""
"""Of the laptop's user, which no node has."""

EPOCHS, SAMPLES = 30, 2


class Laptop:
    """Somebody there who has a profile, a token and a password; `variables` change the environment."""

    def __init__(self, cluster: Cluster, **fields: object) -> None:
        self.cluster, self.home = cluster, f"{HOME}/home-{next(cluster.numbers)}"
        defaults = {"submit_to": cluster.jobs_uri, "job_home": cluster.new_folder(), "cpus_per_worker": 2}
        defaults |= {"carry": [*TRACKING_LOGIN, *S3_KEYS]}
        self.job_home = str(defaults["job_home"])
        self.profile = cluster.profile(cluster.laptop, **(defaults | fields))

    def start(self, *words: str, on: Machine | None = None, **variables: str) -> Command:
        user = {"SEISWEEP_HOME": self.home, "RAY_AUTH_TOKEN": self.cluster.token, **TRACKING_LOGIN, **S3_KEYS}
        return (on or self.cluster.laptop).start("seisweep", *words, env=user | variables)

    def run(self, *words: str) -> Command:
        begun = self.start(*words)
        begun.wait(240)
        return begun


def test_a_job_whose_driver_is_killed_is_resumed_by_a_second_job_and_stops_and_goes_on(cluster: Cluster) -> None:
    code = cluster.laptop.path(f"{HOME}/code")
    code.mkdir()
    (code / "own_code.py").write_text(OWN_CODE)
    user, marks = Laptop(cluster, working_dir=f"{HOME}/code"), cluster.new_folder("marks")
    cluster.head.path(marks).mkdir()
    settings = [f"training.epochs={EPOCHS}", "sleep_s=0.5", f"marks={marks}", "--samples", str(SAMPLES)]
    sent = user.start("run", "own_code:sweep", "--name", "sent", "--profile", user.profile, *settings)

    def reached(epoch: int) -> bool:
        assert sent.code is None, sent
        found = checkpoints(cluster, user.job_home, "sent")
        return len(found) == SAMPLES and min(found.values()) >= epoch

    wait_until(lambda: reached(2), 120, lambda: f"no checkpoints: {sent}")
    (driver,) = (one for node in cluster.nodes for one in node.processes() if "seisweep.cli" in one.title)
    driver.kill()
    again = r"the job seisweep-sent-\d+ has died \(killed by signal 9\): submitted again as seisweep-sent-\d+"
    wait_until(lambda: re.search(again, sent.stderr) is not None, 120, lambda: f"it is not submitted again: {sent}")
    wait_until(lambda: reached(6), 120, lambda: f"it does not go on: {sent}")

    stopped = user.run("stop", "sent")
    assert stopped.code == 0, stopped
    assert "go on with: seisweep resume sent" in stopped.stderr
    assert sent.wait(60) == 1, sent
    assert "interrupted" in user.run("sweeps", "--profile", user.profile).stdout
    resumed = user.run("resume", "sent")
    assert resumed.code == 0, resumed
    assert "sent is the job seisweep-sent-" in resumed.stderr

    whole_record(cluster, "sent", SAMPLES, EPOCHS)
    computed = epochs_computed(cluster.head.path(marks))
    assert all(done.count(1) == 1 for done in computed.values()), f"a trial began again at the start: {computed}"
    results = user.run("results", "sent", "--format", "csv")  # by its name alone
    assert results.stdout.count("done") == SAMPLES, results
    assert [file.name for file in cluster.laptop.path(user.home).iterdir()] == ["jobs"]


def test_what_is_missing_or_wrong_is_one_line_before_anything_begins(cluster: Cluster) -> None:
    user = Laptop(cluster)
    run = ("run", "cluster.sweeps:toy", "--name", "never", "--profile")
    node = cluster.profile(cluster.laptop, ray_address=f"{cluster.head.address}:{PORT}")
    client = cluster.profile(cluster.laptop, ray_address=f"ray://{cluster.head.address}:10001")
    on_head = cluster.profile()
    wrong = {
        "and this machine has none": user.start(*run, user.profile, RAY_AUTH_TOKEN=""),
        "does not take the token in RAY_AUTH_TOKEN:": user.start(*run, user.profile, RAY_AUTH_TOKEN="wrong"),
        "with the password in MLFLOW_TRACKING_PASSWORD": user.start(
            *run, user.profile, MLFLOW_TRACKING_PASSWORD="wrong"
        ),
        f"not a node of the Ray cluster at {cluster.head.address}:{PORT} (": user.start(*run, node),
        f'submit_to = "http://{cluster.head.address}:{JOBS_PORT}" in the profile': user.start(*run, client),
        "does not take the token in RAY_AUTH_TOKEN: give": user.start(
            *run, on_head, on=cluster.head, RAY_AUTH_TOKEN="wrong"
        ),
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD": user.start(
            *run, on_head, on=cluster.head, MLFLOW_TRACKING_PASSWORD=""
        ),
    }
    for part, command in wrong.items():
        assert command.wait(120) == 2, command
        assert part in command.stderr, command
        assert command.stderr.count("\n") == 1, command
    for machine in (cluster.laptop, cluster.head):
        assert not machine.path(user.home).exists()
