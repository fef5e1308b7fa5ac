"""What seisweep takes of MLflow that is not public: its database, its settings, an address of its own pages."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which starts with the import

USES = {
    "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore": "a home gets its database",
    "mlflow.environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES": "a run that the server may have made is not "
    "asked for twice",
    "mlflow.utils.rest_utils.http_request": "curves of many trials come with one call",
    "mlflow.utils.credentials.get_default_host_creds": "the same",
}
"""Dotted name, and what would not work without it."""

CURVES = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
"""Where MLflow's own pages ask a server for one metric of many runs."""

SHARED_VIEW = "mlflow.sharedViewState."
"""Begins the tag of an experiment that presets its runs table, for whoever opens a link with the name that follows. The
table's own format; without it the table shows no metric at all."""

TABLES = {
    "experiments": ("experiment_id", "lifecycle_stage"),
    "runs": ("run_uuid", "experiment_id", "status", "start_time", "end_time", "artifact_uri", "lifecycle_stage"),
    "tags": ("run_uuid", "key", "value"),
    "params": ("run_uuid", "key", "value"),
    "latest_metrics": ("run_uuid", "key", "value", "is_nan"),
    "metrics": ("run_uuid", "key", "step", "timestamp", "value", "is_nan"),
}
"""Tables and columns of its database that results are read from."""


def sqlite_uri(database: Path) -> str:
    """The tracking URI of a database file. SQLAlchemy, which reads it, decodes `%20` and takes what follows a `?` for
    options: such a path is written as it wants it. With the driver's name in it, MLflow, which decodes nothing, makes
    no folder of the name as it is written."""
    plain = f"sqlite:///{database}"
    if not {"%", "?"} & set(plain):
        return plain
    from sqlalchemy.engine import URL

    return URL.create("sqlite+pysqlite", database=str(database)).render_as_string()


def create_store(database: Path, artifacts: Path) -> None:
    """An empty MLflow store whose readers and writer do not block each other (write-ahead log)."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    store = SqlAlchemyStore(sqlite_uri(database), artifacts.as_uri())
    store.engine.dispose()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


class _AskedOnce:
    """What MLflow's environment said before; threads that are inside share it."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, ""

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """MLflow's client repeats what the server did not answer. Not while this is open: that could make a second
        run, and takes as long as the client likes."""
        from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES as RETRIES

        with self._lock:
            if not self._inside:
                self._before = os.environ.get(RETRIES.name, str(RETRIES.default))
                RETRIES.set("0")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    RETRIES.set(self._before)


asked_once = _AskedOnce()


def ask_for_curves(uri: str, metric: str, run_ids: list[str] | tuple[str, ...]) -> Any:
    """The server's answer (of `requests`) about one metric of these runs."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    query = [*(("run_id", run_id) for run_id in run_ids), ("metric_key", metric)]
    return http_request(get_default_host_creds(uri), CURVES, "GET", params=query)
