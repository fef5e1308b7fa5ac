"""What seisweep takes of MLflow that is not public: its database, its settings, an address of its own pages."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which starts with the import

USES = {
    "mlflow.tracking._tracking_service.utils._artifact_repos_cache": "a process that used a home before it was moved "
    "writes into it where it lies now",
    "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore": "a home gets its database",
    "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore._hard_delete_run": "the runs of a deleted sweep leave the "
    "database",
    "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore._hard_delete_logged_model": "the same of its models",
    "mlflow.environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES": "a run that the server may have made is not "
    "asked for twice",
    "mlflow.utils.rest_utils.http_request": "curves of many trials come with one call",
    "mlflow.utils.credentials.get_default_host_creds": "the same",
    "mlflow.store.artifact.runs_artifact_repo.RunsArtifactRepository.get_underlying_uri": "files of a run are found "
    "in a home that was moved",
    "mlflow.store.artifact.models_artifact_repo.ModelsArtifactRepository.get_underlying_uri": "the same of a "
    "registered model",
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

PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Tables and columns of its database that say where files lie, as addresses of folders (`file:///...`)."""

OF_SWEEPS = """
SELECT artifact_location FROM experiments WHERE experiment_id = 0 OR experiment_id IN
(SELECT experiment_id FROM experiment_tags WHERE key LIKE 'mlflow.sharedViewState.%') ORDER BY experiment_id
"""
"""Where the experiment that comes with a store, and those of sweeps, keep their files."""


def sqlite_uri(database: Path) -> str:
    """The tracking URI of a database file. SQLAlchemy, which reads it, decodes `%20` and takes what follows a `?` for
    options: such a path is written as it wants it. With the driver's name in it, MLflow, which decodes nothing, makes
    no folder of the name as it is written."""
    plain = f"sqlite:///{database}"
    if not {"%", "?"} & set(plain):
        return plain
    from sqlalchemy.engine import URL

    return URL.create("sqlite+pysqlite", database=str(database)).render_as_string()


def import_database() -> None:
    """What MLflow imports where it first opens a database."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


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


class Database:
    """A database whose runs and models can be deleted for good; MLflow's client only puts them into its bin."""

    def __init__(self, uri: str, artifacts_uri: str | None) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        self._store = SqlAlchemyStore(uri, artifacts_uri or "mlflow-artifacts:/")  # where new experiments keep files

    def delete_run(self, run_id: str) -> None:
        self._store._hard_delete_run(run_id)

    def delete_model(self, model_id: str) -> None:
        self._store._hard_delete_logged_model(model_id)

    def delete_files(self, uri: str) -> None:
        """What lies at an address of files, in whatever storage."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(uri).delete_artifacts()


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


def underlying_uri(uri: str) -> str:
    """Address of the files behind `runs:/...` or `models:/...` in the store that MLflow's environment names."""
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    while (uri := uri.rstrip("/")).startswith(("runs:/", "models:/")):
        repository = RunsArtifactRepository if uri.startswith("runs:/") else ModelsArtifactRepository
        uri = repository.get_underlying_uri(uri)
    return uri


def open_to_read(database: Path) -> sqlite3.Connection:
    """A database in a folder that cannot be written. Beside one with a write-ahead log SQLite would make files; so it
    is told that nobody writes, or, where the log holds something, reads a copy."""
    log = database.with_name(f"{database.name}-wal")
    place = quote(str(database))
    if not log.exists() or not log.stat().st_size:
        return sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True)
    connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
        return connection
    except sqlite3.OperationalError:
        connection.close()
    with tempfile.TemporaryDirectory(prefix="seisweep-reads-") as folder:
        for file in (database, log):
            shutil.copy(file, folder)
        in_memory = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(Path(folder, database.name))) as copy:
            copy.backup(in_memory)
    return in_memory


def read_only_uri(database: Path) -> str:
    """The same as an address for MLflow's client."""
    return f"sqlite:///file:{quote(str(database))}?mode=ro&immutable=1&uri=true"


def artifact_roots(database: Path) -> list[Path]:
    """Where the homes lay that sweeps of this database keep their files in: above `artifacts`. The first made comes
    first; empty without a database. An experiment that a user has made keeps its place."""
    if not database.is_file():
        return []
    is_writable = os.access(database.parent, os.W_OK)
    try:
        with closing(sqlite3.connect(database) if is_writable else open_to_read(database)) as connection:
            rows = connection.execute(OF_SWEEPS).fetchall()
    except sqlite3.Error:
        return []  # who reads results of it says what is wrong
    paths = [unquote(urlparse(place).path) for (place,) in rows if urlparse(place or "").scheme in ("", "file")]
    found = [re.fullmatch(r"(/.+)/artifacts(/\d+)?", path) for path in paths]
    roots = dict.fromkeys(Path(one.group(1)) for one in found if one)
    return [root for root in roots if root not in database.parents or root == database.parent]


def files_left_behind(database: Path, was: Path, now: Path) -> list[tuple[Path, Path]]:
    """Folders of runs that lie under the old root and not under the new one, then and now: an older version went on
    to write there after the home was moved."""
    start = f"{was.as_uri()}/artifacts/"
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT artifact_uri FROM runs WHERE substr(artifact_uri, 1, ?) = ?", _begins(start))
        tails = [unquote(uri[len(start) :]) for (uri,) in rows]
    pairs = [(was / "artifacts" / tail, now / "artifacts" / tail) for tail in tails]
    return [(there, here) for there, here in pairs if there.is_dir() and not here.exists()]


def move_artifacts(database: Path, was: Path, now: Path) -> None:
    """Every place of files under the old root becomes the same place under the new one, all or none."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for table, columns in PLACES.items():
            for column in columns:
                for start, end in ((was.as_uri(), now.as_uri()), (str(was), str(now))):
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE substr({column} || '/', 1, ?) = ?",
                        (end, len(start) + 1, *_begins(f"{start}/artifacts/")),
                    )
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()  # or this process would go on writing where a run's files lay


def _begins(start: str) -> tuple[int, str]:
    return len(start), start
