"""docker/compose.yaml on machines of the lab, where no daemon can run containers: what a service is started with there
comes from the file alone, its commands, variables, volumes and checks.

PostgreSQL is Debian's, rclone that of PyPI, and ours this checkout. For containers there are machines: the head for
`head`, w1 for `worker`, w2 for `sweep`, the services' for all others. `down` takes everything but the volumes.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

from cluster.cluster import QUICK, restart
from cluster.commands import REPOSITORY, Command, wait_until
from cluster.machines import SHARED, Lab, Machine
from cluster.services import owner, program

DOCKER = REPOSITORY / "docker"
IN_IMAGE = "/opt/code/docker"
HOME, DATABASE, OBJECTS = "/home/seisweep/home", "/var/lib/postgresql/data", "/data"
VOLUMES = {HOME: f"{SHARED}/home", DATABASE: "/home/database", OBJECTS: "/home/objects"}
"""Where a volume is mounted in its container, and where it lies on the machines."""

START_LIMIT_S = 240
STOP_SIGNALS = {"postgres": signal.SIGINT}
"""Of an image, where it is not SIGTERM."""


class Composed:
    """The services of compose.yaml. `folder` keeps .env."""

    def __init__(self, lab: Lab, folder: Path, **settings: str) -> None:
        self.lab = lab
        env_file = folder / ".env"
        subprocess.run([DOCKER / "new-env.sh", env_file, DOCKER / ".env.example"], check=True)
        lines = [line.partition("=") for line in env_file.read_text().splitlines() if not line.startswith("#")]
        values = {name: value for name, _, value in lines} | settings
        read = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        self.services: dict[str, dict[str, Any]] = interpolated(read["services"], values)
        services = lab.services
        self.machines = {"postgres": services, "s3": services, "mlflow": services, "head": lab.head, "worker": lab.w1}
        self.machines["sweep"] = lab.w2
        self.running: dict[str, Command] = {}

    def up(self) -> None:
        """Every service that is not part of a profile, each when those that it depends on are healthy."""
        for machine in dict.fromkeys(self.machines.values()):
            self._know_names(machine)
        waiting = [name for name, service in self.services.items() if "profiles" not in service]
        while waiting:
            name = next(one for one in waiting if set(self.services[one].get("depends_on", {})) <= set(self.running))
            waiting.remove(name)
            self._begin(name)
            wait_until(lambda name=name: self._is_well(name), START_LIMIT_S, lambda name=name: f"{self.running[name]}")

    def down(self) -> None:
        """Told to stop as Docker does, then gone with all that is not a volume."""
        for name, command in reversed(self.running.items()):
            command.send(STOP_SIGNALS.get(name, signal.SIGTERM))
            command.wait(90)
        self.running.clear()
        for machine in dict.fromkeys(self.machines.values()):
            self._remove(machine)

    def sweep(self, *words: str, limit_s: float = 600, **variables: str) -> Command:
        """`docker compose run --rm sweep WORDS...`, to its end; variables as its -e."""
        machine, env = self.machines["sweep"], self._environment("sweep") | variables
        done = machine.run(*self._entry("sweep"), *words, env=env, limit_s=limit_s)
        self._remove(machine)
        self._know_names(machine)
        return done

    def _remove(self, machine: Machine) -> None:
        """The container: its processes, and what it has written into no volume."""
        restart(machine)
        shutil.rmtree(machine.path("/tmp/seisweep"), ignore_errors=True)

    def _know_names(self, machine: Machine) -> None:
        """Services are found by their names; a machine that was off has forgotten them."""
        with (machine.disk / "etc" / "hosts").open("a") as hosts:
            hosts.writelines(f"{one.address} {name}\n" for name, one in self.machines.items() if name != one.name)

    def _begin(self, name: str) -> None:
        service, machine, env = self.services[name], self.machines[name], self._environment(name)
        words = [*self._entry(name), *service.get("command", [])]
        words = [VOLUMES.get(word, word) for word in words]
        if name == "s3":
            machine.path(VOLUMES[OBJECTS]).mkdir(exist_ok=True)
        if name == "postgres":
            words = self._postgres(machine, env)
        if name in ("head", "worker", "sweep"):
            machine.path(VOLUMES[HOME]).mkdir(exist_ok=True)
        self.running[name] = machine.start(*words, env=env)

    def _entry(self, name: str) -> list[str]:
        """What the image or the file puts before a command."""
        own = [word.replace(IN_IMAGE, str(DOCKER)) for word in self.services[name].get("entrypoint", [])]
        return own or {"s3": ["rclone"]}.get(name, [str(DOCKER / "start.sh")])

    def _environment(self, name: str) -> dict[str, str]:
        given = {key: str(value) for key, value in self.services[name]["environment"].items()}
        moved = {key: VOLUMES.get(value, value.replace(IN_IMAGE, str(DOCKER))) for key, value in given.items()}
        return {**QUICK, "NODE_IP": self.machines[name].address, **moved}

    def _postgres(self, machine: Machine, env: dict[str, str]) -> list[str]:
        """What the entry of the official image does: a new volume gets user, password and database."""
        user, data = owner(), Path(VOLUMES[DATABASE]) / "data"
        as_owner = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        options = ["-c", "listen_addresses=*", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        server = [*as_owner, str(program("postgres")), "-D", str(data), *options]
        if machine.path(data).exists():
            return server
        home = machine.path(data.parent)
        home.mkdir()
        (home / "password").write_text(env["POSTGRES_PASSWORD"])
        for place in (home, home / "password"):
            shutil.chown(place, user.pw_uid, user.pw_gid)
        secret = [f"--username={env['POSTGRES_USER']}", f"--pwfile={data.parent / 'password'}"]
        made = machine.run(*as_owner, program("initdb"), *env["POSTGRES_INITDB_ARGS"].split(), *secret, data)
        assert made.code == 0, made
        with (machine.path(data) / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        first = machine.start(*server)
        ready = [program("pg_isready"), "-q", "-h", "127.0.0.1"]
        wait_until(lambda: machine.run(*ready).code == 0, START_LIMIT_S, lambda: f"{first}")
        at = ["-h", "127.0.0.1", "-U", env["POSTGRES_USER"], env["POSTGRES_DB"]]
        made = machine.run(program("createdb"), *at, env={"PGPASSWORD": env["POSTGRES_PASSWORD"]})
        assert made.code == 0, made
        first.send(signal.SIGINT)
        first.wait(60)
        return server

    def _is_well(self, name: str) -> bool:
        """As its check in the file says, or that of the image."""
        assert self.running[name].code is None, f"{name} ended: {self.running[name]}"
        test = self.services[name].get("healthcheck", {}).get("test", ["CMD", f"{IN_IMAGE}/start.sh", "healthy"])
        words = [word.replace(IN_IMAGE, str(DOCKER)) for word in test[1:]]
        if words[0] == "pg_isready":
            words[0] = str(program("pg_isready"))
        if words[0] == "nc":  # which the image has, and this machine may lack
            words = ["bash", "-c", f": >/dev/tcp/{words[-2]}/{words[-1]}"]
        env = self._environment(name)
        return self.machines[name].run(*words, env=env).code == 0


def interpolated(part: Any, values: dict[str, str]) -> Any:
    """Part of a file whose texts have ${NAME:-default} and ${NAME:?why} filled in, as compose does it."""
    if isinstance(part, dict):
        return {key: interpolated(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [interpolated(value, values) for value in part]
    if not isinstance(part, str):
        return part

    def fill(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        value = values.get(name) or (rest if operator == ":-" else "")
        assert value or operator == ":-", f"{name} {rest}"
        return value

    return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", fill, part)
