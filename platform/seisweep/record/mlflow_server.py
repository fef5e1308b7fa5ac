"""MLflow's own pages on a store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

from filelock import FileLock, Timeout

from seisweep.settings.home import Home
from seisweep.settings.which_store import Store, check_that_it_is_there, home_of_store, ready_to_write
from trainables.atomic import whole_file

DEFAULT_PORT = 5000
HOST = "127.0.0.1"
PORT_FILE = "ui.port"
"""Of a home: the port that its pages are served on, or will be. Every link names it, before `seisweep ui` runs too."""
LOCK_FILE = "ui.lock"
"""Held while they are served."""
OWN_PAGES = "seisweep"
"""Name under which `mlflow server` finds the pages as `private/mlflow_ui.py` has them."""

Show = Callable[[str], None]
"""Told the address of the pages, once they can be opened."""


def serve(home: Home, store: Store, port: int | None = None, show: Show = print) -> int:
    """Run MLflow's server on a store until Ctrl-C; returns the exit code.

    A store that is a tracking server needs none: its address is shown.
    """
    if store.uri.startswith("http"):
        show(store.uri.rstrip("/"))
        return 0
    check_that_it_is_there(store, home)
    if home.is_read_only:
        raise ValueError(
            f"home {home.root} cannot be written, but MLflow's pages need that: copy it, and open the copy"
        )
    ready_to_write(store, home)
    lock = FileLock(home.root / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(
            "MLflow's pages of this home are served already; Ctrl-C where they were started ends them", file=sys.stderr
        )
        show(base_url(home.mlflow_uri))
        return 0
    with lock:
        return _run(home, store, _port_for(home, port), show)


def _run(home: Home, store: Store, port: int, show: Show) -> int:
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    command += ["--default-artifact-root", home.artifacts_dir.as_uri(), "--host", HOST, "--port", str(port)]
    command += ["--app-name", OWN_PAGES] if entry_points(group="mlflow.app", name=OWN_PAGES) else []
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = home.root / "ui.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [*command, "--workers", "1"], env={**os.environ, **quiet}, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_it_answers(server, port, log)
            print(f"MLflow runs until Ctrl-C; its log is {log}", file=sys.stderr, flush=True)
            show(f"http://{HOST}:{port}")
            sys.stdout.flush()
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


def base_url(tracking_uri: str) -> str:
    """Where the pages of this store are, or will be: the server's address, else that of the home's own pages. A home
    that has no port yet gets the first free one."""
    if tracking_uri.startswith("http"):
        return tracking_uri.rstrip("/")
    home = home_of_store(tracking_uri) or Home.find()
    port = _kept_port(home)
    if port is None:
        with suppress(ValueError):
            port = free_port(None)
            _keep_port(home, port)
    return f"http://{HOST}:{port or DEFAULT_PORT}"


def _port_for(home: Home, wanted: int | None) -> int:
    """The wanted port, else the one that links of this home name, else a free one; links name it from now on. Raises
    ValueError."""
    kept = _kept_port(home)
    chosen = free_port(kept if wanted is None and kept is not None and _is_free(kept) else wanted)
    if kept not in (None, chosen):
        print(f"links that were printed before have port {kept}: it is {chosen} now", file=sys.stderr)
    _keep_port(home, chosen)
    return chosen


def _kept_port(home: Home) -> int | None:
    try:
        port = int((home.root / PORT_FILE).read_text())
    except (OSError, ValueError):
        return None
    return port if 0 < port < 2**16 else None


def _keep_port(home: Home, port: int) -> None:
    """A home that cannot be written has none."""
    with suppress(OSError), whole_file(home.root / PORT_FILE) as arriving:
        arriving.write_text(str(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
