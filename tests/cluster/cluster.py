"""The cluster that tests run on: Ray with a token on head, w1 and w2, a laptop that is not a node, and the services.

It is made once for all tests of this folder (`conftest.py`), and put in order before each of them. In a test:

    def test_a_sweep(cluster):
        user = cluster.user(cluster.new_folder())            # variables of who launches on the head
        profile = cluster.profile(storage_path="/home/shared/storage")  # a file that head, w1 and w2 see
        done = cluster.head.run("seisweep", "run", "toy_trainable:sweep", "--profile", profile, env=user)
        assert done.code == 0, done
        with cluster.from_laptop():
            trials = seisweep.load("toy-1", cluster.tracking_uri).trials

`start` instead of `run` leaves it running; then `cluster.w2.power_off()`, `cluster.w1.unplug()` and `.plug()`,
`cluster.postgres.pause()` and `.go_on()`, `.kill()`; so do `cluster.s3` and `cluster.mlflow`.
`cluster.restart_ray("w2", env=...)` gives a node another environment, `cluster.w2.hide(FOLDER)` takes a folder away.
`machine.path("/tmp/x")` says where a file of a machine lies on this one. The laptop has no token:
`{"RAY_AUTH_TOKEN": cluster.token}`.

By hand: `python tests/cluster/by_hand.py`.
"""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import machines, services
from cluster.commands import HOME, Command
from cluster.machines import ADDRESSES, SHARE, SHARED, Lab, Machine
from cluster.services import S3, S3_ENDPOINT, S3_KEYS, TRACKING_LOGIN, TRACKING_URI, MLflow, PostgreSQL

PORT, JOBS_PORT = 6379, 8265
CPUS = 2
"""Of each node. They are those of this machine, several times."""
QUICK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # else trials starve beside anything else
    "RAY_memory_monitor_refresh_ms": "0",  # all nodes would take the memory of this machine for theirs
}
"""For Ray's own processes."""


class Cluster:
    """Machines, services, Ray. `folder` keeps the machines' disks."""

    tracking_uri, s3_endpoint = TRACKING_URI, S3_ENDPOINT
    jobs_uri = f"http://{ADDRESSES['head']}:{JOBS_PORT}"
    bucket_uri = f"s3://{services.BUCKET}"

    def __init__(self, folder: Path) -> None:
        self.lab, self.token, self.numbers = Lab(folder), secrets.token_hex(16), itertools.count(1)
        self.head, self.w1, self.w2 = self.lab.head, self.lab.w1, self.lab.w2
        self.laptop, self.nodes = self.lab.laptop, [self.lab.machines[name] for name in SHARE]
        self.postgres, self.s3 = PostgreSQL(self.lab.services), S3(self.lab.services)
        self.mlflow = MLflow(self.lab.services)
        for node in self.nodes:
            token = node.path(f"{HOME}/.ray/auth_token")
            token.parent.mkdir()
            token.write_text(self.token)
            token.chmod(0o600)

    def __enter__(self) -> Cluster:
        with ExitStack() as stack:
            stack.enter_context(self.lab)
            starting = self._begin_ray(self.head)  # while the services start
            for service in (self.postgres, self.s3, self.mlflow):
                service.start()
            self._until_ray_is_there(starting)
            self._until_ray_is_there(*(self._begin_ray(node) for node in self.nodes[1:]))
            stack.pop_all()
        return self

    def __exit__(self, *ended: Any) -> None:
        self.lab.__exit__(*ended)

    def heal(self) -> None:
        """As it was made, whatever a test has done: machines on and plugged in, services and Ray's nodes running,
        nothing of a test left running. What it wrote on disks stays."""
        for machine in (self.laptop, self.lab.services):
            if machine.disturbed:
                restart(machine)
        for service in (self.postgres, self.s3, self.mlflow):
            service.heal()
        for machine in (self.laptop, *self.nodes):
            for command in machine.commands:
                command.end()
            machine.commands.clear()
            for process in machine.processes():  # drivers of jobs
                if any(Path(word).name in ("seisweep", "seisweep.cli") for word in process.title.split()[:4]):
                    process.kill()
        broken = [node for node in self.nodes if node.disturbed or not runs_ray(node)]
        if self.head in broken:
            self.restart_ray("head")
        elif broken:
            self.restart_ray(*(node.name for node in broken))

    def restart_ray(self, *names: str, env: dict[str, str] | None = None) -> None:
        """These nodes lose all their processes and get Ray again, until the next test with other variables where some
        are given. One that is off joins. With the head all nodes do."""
        nodes = self.nodes if "head" in names else [self.lab.machines[name] for name in names]
        for node in nodes:
            restart(node)
            node.disturbed = bool(env) and node.name in names
        if "head" in names:
            self._until_ray_is_there(self._begin_ray(self.head, env))
        others = [node for node in nodes if node is not self.head]
        self._until_ray_is_there(*(self._begin_ray(node, env if node.name in names else None) for node in others))

    def user(self, home: str) -> dict[str, str]:
        """Variables of someone on a node who may do everything: the home, the passwords. The token is in a file."""
        return {
            "SEISWEEP_HOME": home,
            "RAY_AUTH_MODE": "token",
            "AWS_ENDPOINT_URL": S3_ENDPOINT,
            **TRACKING_LOGIN,
            **S3_KEYS,
        }

    def new_folder(self, name: str = "home") -> str:
        """A folder that head, w1 and w2 see, not created yet: a home, or what they share."""
        return f"{SHARED}/{name}-{next(self.numbers)}"

    def profile(self, machine: Machine | None = None, **fields: Any) -> str:
        """A profile's file for drivers on head, w1, w2 (or on `machine`); `fields` change it, None leaves one out."""
        settings = {
            "ray_address": "auto",
            "tracking_uri": TRACKING_URI,
            "storage_path": f"{SHARED}/storage",
            "runner": "in-process",
            "cpus_per_worker": 1,
            **fields,
        }
        place = f"{HOME}/profiles" if machine else f"{SHARED}/profiles"
        file = Path(place) / f"profile-{next(self.numbers)}.toml"
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
        here = (machine or self.head).path(file)
        here.parent.mkdir(exist_ok=True)
        here.write_text("\n".join([*lines, ""]))
        return str(file)

    @contextmanager
    def from_laptop(self, **variables: str) -> Iterator[None]:
        """While it is open, this process is in the laptop's network and knows MLflow's password."""
        with pytest.MonkeyPatch.context() as environment, self.laptop.network():
            for name, value in (TRACKING_LOGIN | variables).items():
                environment.setenv(name, value)
            yield

    def _begin_ray(self, node: Machine, env: dict[str, str] | None = None) -> Command:
        options = [f"--node-ip-address={node.address}", f"--num-cpus={CPUS}", "--object-store-memory=100000000"]
        options += ["--include-log-monitor=false", "--disable-usage-stats"]
        if node is self.head:
            dashboard = ["--include-dashboard=true", "--dashboard-host=0.0.0.0", f"--dashboard-port={JOBS_PORT}"]
            options += ["--head", f"--port={PORT}", *dashboard]
        else:
            options.append(f"--address={self.head.address}:{PORT}")
        return node.start("ray", "start", *options, env={"RAY_AUTH_MODE": "token", **QUICK, **S3_KEYS, **(env or {})})

    def _until_ray_is_there(self, *starting: Command) -> None:
        for command in starting:
            assert command.wait(180) == 0, command


def restart(machine: Machine) -> None:
    """Off and on again, plugged in, nothing of Ray in its /tmp."""
    if machine.is_on:
        machine.power_off()
    shutil.rmtree(machine.path("/tmp/ray"), ignore_errors=True)
    machine.power_on()
    machine.disturbed = False


def runs_ray(node: Machine) -> bool:
    return any("raylet/raylet" in process.title for process in node.processes())


def why_not() -> str:
    """What keeps this machine from making a cluster, in one line; empty where nothing does."""
    return machines.why_not() or services.why_not()
