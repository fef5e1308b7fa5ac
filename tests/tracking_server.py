"""An MLflow server of this machine behind a password, with proxied artifacts: for tests of whoever talks to one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

USER, PASSWORD = "lab", "password-of-the-lab"
LOGIN = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
START_LIMIT_S = 120


@contextmanager
def tracking_server(folder: Path, database: Path) -> Iterator[str]:
    """Its address. `database`: an MLflow database that is there already, which the server takes."""
    settings, port = folder / "auth.ini", free_port()
    settings.write_text(
        f"[mlflow]\ndefault_permission = EDIT\ndatabase_uri = sqlite:///{folder}/users.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\nauth_cache_ttl_seconds = 600\n"
    )
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "files")]
    own = {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of the lab",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--workers", "1"], env={**os.environ, **own}, stdout=log, stderr=log, cwd=folder
        )
        try:
            _wait(server, f"http://127.0.0.1:{port}", log.name)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], address: str, log: str) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s:
        assert server.poll() is None, Path(log).read_text()[-3000:]
        with suppress(URLError, OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            return
        time.sleep(0.2)
    raise AssertionError(f"no answer: {Path(log).read_text()[-3000:]}")
