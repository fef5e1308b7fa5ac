"""MLflow's own pages on a store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from seisweep.settings.home import Home
from seisweep.settings.which_store import Store, check_that_it_is_there, ready_to_write

DEFAULT_PORT = 5000
HOST = "127.0.0.1"


def serve(home: Home, store: Store, port: int | None = None) -> int:
    """Run MLflow's server on a store until Ctrl-C; returns the exit code.

    A store that is a tracking server needs none: its address is printed.
    """
    if store.uri.startswith("http"):
        print(store.uri)
        return 0
    check_that_it_is_there(store, home)
    if home.is_read_only:
        raise ValueError(f"home {home.root} cannot be written, which MLflow's pages want: copy it, and open the copy")
    ready_to_write(store, home)
    chosen = free_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    command += ["--default-artifact-root", home.artifacts_dir.as_uri(), "--host", HOST, "--port", str(chosen)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = home.root / "ui.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [*command, "--workers", "1"], env={**os.environ, **quiet}, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_it_answers(server, chosen, log)
            print(base_url(chosen), flush=True)
            print(f"MLflow runs until Ctrl-C; its log is {log}", file=sys.stderr)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()
            server.wait()


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until the port is open. Raises RuntimeError with the log's last line where the server ends before."""
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
    last = [line for line in log.read_text().splitlines() if line.strip()][-1:]
    raise RuntimeError(f"MLflow's server ended at once: {' '.join(last)} (log: {log})")


def free_port(wanted: int | None) -> int:
    """The wanted port, or the first free one from the default on. Raises ValueError where it is taken."""
    if wanted is not None:
        if not _is_free(wanted):
            raise ValueError(f"port {wanted} is in use; choose another one with --port")
        return wanted
    candidates = range(DEFAULT_PORT, DEFAULT_PORT + 50)
    port = next((port for port in candidates if _is_free(port)), None)
    if port is None:
        raise ValueError(f"ports {candidates[0]} to {candidates[-1]} are in use; choose one with --port")
    return port


def base_url(port: int = DEFAULT_PORT) -> str:
    return f"http://{HOST}:{port}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
