"""The services of a cluster, on a machine of their own: PostgreSQL, an S3 server, MLflow on both behind a password."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cluster.commands import Command, wait_until
from cluster.machines import ADDRESSES, Machine

ADDRESS = ADDRESSES["services"]
BUCKET = "seisweep"
USER, PASSWORD = "lab", "password-of-the-lab"
S3_KEYS = {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "a key of the lab", "AWS_DEFAULT_REGION": "us-east-1"}
S3_ENDPOINT = f"http://{ADDRESS}:9000"
TRACKING_URI = f"http://{ADDRESS}:5000"
TRACKING_LOGIN = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
START_LIMIT_S = 180
DATABASE = f"postgresql+psycopg://{USER}:{PASSWORD}@{ADDRESS}:5432"


class Service:
    """A server that can be started, killed, stopped as if it hung, and made to go on."""

    name: str

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.command: Command | None = None
        self.is_paused = False

    @property
    def runs(self) -> bool:
        return self.command is not None and self.command.code is None

    def start(self) -> None:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def kill(self) -> None:
        if self.command:
            self.command.end()
        self.is_paused = False

    def pause(self) -> None:
        """All its processes stop (SIGSTOP): connections stay, nothing answers."""
        self.is_paused = True
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self.is_paused = False
        self._send(signal.SIGCONT)

    def heal(self) -> None:
        """Running, whatever was done to it."""
        if self.is_paused:
            self.go_on()
        if not self.runs:
            self.start()

    def _begin(self, *command: str | Path, env: Mapping[str, str] | None = None) -> None:
        self.command = self.machine.start(*command, env=env)

    def _wait(self) -> None:
        """Until it answers."""

        def ready() -> bool:
            assert self.runs, f"{self.name} ended: {self.command}"
            return self.answers()

        wait_until(ready, START_LIMIT_S, f"{self.name} does not answer")

    def _send(self, number: signal.Signals) -> None:
        """To all of it, also to what it starts meanwhile."""
        assert self.command
        told: set[int] = set()
        while new := {process.pid for process in self.command.family()} - told:
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= new
        if number == signal.SIGCONT:  # `nsenter` stops with what it has started
            self.command.process.send_signal(number)


class PostgreSQL(Service):
    """Databases `mlflow` and `mlflow_auth`, for the user `lab` with its password."""

    name = "PostgreSQL"

    def start(self) -> None:
        data, user = Path("/home/postgres/data"), owner()
        as_owner = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        is_new = not self.machine.path(data).exists()
        if is_new:
            home = self.machine.path(data.parent)
            home.mkdir()
            (home / "password").write_text(PASSWORD)
            for place in (home, home / "password"):
                shutil.chown(place, user.pw_uid, user.pw_gid)
            secret = [f"--username={USER}", f"--pwfile={data.parent / 'password'}", "--auth=scram-sha-256"]
            made = self.machine.run(*as_owner, program("initdb"), "--no-sync", *secret, data)
            assert made.code == 0, made
            with (self.machine.path(data) / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 10.88.0.0/24 scram-sha-256\n")
        settings = ["listen_addresses=*", "unix_socket_directories=", "fsync=off", "shared_buffers=32MB"]
        options = [word for setting in settings for word in ("-c", setting)]
        self._begin(*as_owner, program("postgres"), "-D", data, *options)
        self._wait()
        for database in ("mlflow", "mlflow_auth") if is_new else ():
            at = ["-h", ADDRESS, "-U", USER, database]
            made = self.machine.run(program("createdb"), *at, env={"PGPASSWORD": PASSWORD})
            assert made.code == 0, made

    def answers(self) -> bool:
        return self.machine.run(program("pg_isready"), "-q", "-h", ADDRESS).code == 0


class S3(Service):
    """moto's server, with the bucket `seisweep`. It keeps its objects in memory."""

    name = "the S3 server"

    def start(self) -> None:
        self._begin("moto_server", "--host", "0.0.0.0", "--port", "9000", env=S3_KEYS)
        self._wait()
        with self.machine.network():
            made = urllib.request.Request(f"{S3_ENDPOINT}/{BUCKET}", method="PUT")
            urllib.request.urlopen(made, timeout=30).close()

    def answers(self) -> bool:
        return _answers(self.machine, f"{S3_ENDPOINT}/moto-api/")


class MLflow(Service):
    """MLflow on PostgreSQL with basic-auth, which passes artifacts on to the S3 server."""

    name = "MLflow"

    def start(self) -> None:
        settings = self.machine.path("/home/user/auth.ini")
        settings.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {DATABASE}/mlflow_auth\nadmin_username = {USER}\n"
            f"admin_password = {PASSWORD}\nauth_cache_ttl_seconds = 600\n"
        )
        self._begin(
            *("mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"),
            *("--backend-store-uri", f"{DATABASE}/mlflow", "--artifacts-destination", f"s3://{BUCKET}/mlflow"),
            *("--allowed-hosts", "*"),
            env={
                "MLFLOW_AUTH_CONFIG_PATH": "/home/user/auth.ini",
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of the lab",
                "MLFLOW_S3_ENDPOINT_URL": S3_ENDPOINT,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                **S3_KEYS,
            },
        )
        self._wait()

    def answers(self) -> bool:
        return _answers(self.machine, f"{TRACKING_URI}/health")


def why_not() -> str:
    """What keeps these services from running here; empty where nothing does."""
    if not initdb():
        return "PostgreSQL is not installed (Debian: postgresql)"
    missing = [name for name in ("moto", "flask_cors", "boto3", "psycopg", "flask_wtf") if find_spec(name) is None]
    return f"{', '.join(missing)} not installed (pip install -e '.[dev]')" if missing else ""


def initdb() -> Path | None:
    """Debian has PostgreSQL's own programs beside the PATH."""
    debian, others = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")), shutil.which("initdb")
    return debian[-1] if debian else Path(others) if others else None


def program(name: str) -> Path:
    """One of PostgreSQL's."""
    beside = initdb()
    assert beside
    return beside.with_name(name)


def owner() -> pwd.struct_passwd:
    """Who runs PostgreSQL, which refuses to run as root."""
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _answers(machine: Machine, url: str) -> bool:
    with machine.network(), suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
