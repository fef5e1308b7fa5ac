"""A sweep out of its home and its store: its folder, its runs with their files, the models of its trials.

What opened a test split stays, and so does the sweep that it belongs to. Of a database runs and files go for good; of a
tracking server runs go into its bin, with their files, which `mlflow gc` empties there. Files go before the run that
names them, the sweep's own run after those of its trials, its folder last: whatever ends a deletion in between, the
next one finds what is left.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from mlflow.tracking import MlflowClient

from seisweep.archive.leaving import Leaving, look
from seisweep.private.mlflow import SHARED_VIEW, Database
from seisweep.record.mlflow_answers import ask
from seisweep.record.mlflow_store import store_answers
from seisweep.results.files import folder_at
from seisweep.results.open_store import is_database
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import Home
from seisweep.settings.places import Places
from seisweep.settings.profile import Profile
from seisweep.settings.sent import forget
from seisweep.settings.storage import Storage

LEAVING = ".deleting"
"""Ends the hidden name of a folder that is being removed."""


class NotAllError(RuntimeError):
    """Something of it could not be deleted; other things are gone already. The message says what, in one line."""


def delete(name: str, home: Home, profile: Profile) -> Leaving:
    """Delete it, and say what has gone. Looks once more, under the sweep's lock: raises ValueError as `look` does, and
    nothing has changed then. Raises NotAllError."""
    folder = home.sweep_dir(name)
    with driver_lock(folder) if folder.is_dir() else nullcontext():
        found = look(name, home, profile, is_locked=True)
        try:
            if found.runs or found.experiments:
                with store_answers(found.store.uri):
                    _delete_record(found, home.places)
            if found.storage is not None:
                _delete_storage(found.storage)
            forget(home, name)
        except ValueError as error:
            raise NotAllError(str(error)) from None
        if found.folder is not None:
            with _removing(folder):
                folder.rename(_leaving(folder))
    finish(name, home)
    return found


def finish(name: str, home: Home) -> bool:
    """Remove what an interrupted deletion has left of a folder, if there is no newer one. Whether there was anything.
    Raises NotAllError."""
    left = _leaving(home.sweep_dir(name))
    if home.sweep_dir(name).exists() or not left.exists():
        return False
    _remove(left)
    return True


@contextmanager
def _removing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotAllError(f"{error.filename or folder} cannot be removed: {error.strerror or error}") from None


def _remove(folder: Path) -> None:
    with _removing(folder):
        shutil.rmtree(folder)


def _leaving(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{LEAVING}")


def _delete_record(found: Leaving, places: Places) -> None:
    """Files before what names them. Raises NoAnswerError and RefusedError."""
    uri = found.store.uri
    client = MlflowClient(tracking_uri=uri)
    database = Database(uri, found.store.artifacts_uri) if is_database(uri) else None
    for model in found.models:
        if database:
            _delete_files(places.uri_here(model.artifact_location), model.model_id, database)
        ask(partial(database.delete_model if database else client.delete_logged_model, model.model_id))
    for run in found.runs:
        if database:
            _delete_files(places.uri_here(run.info.artifact_uri), run.info.run_id, database)
        ask(partial(database.delete_run if database else client.delete_run, run.info.run_id))
    for place, name in found.experiments.items():
        view = f"{SHARED_VIEW}{found.name}"
        if view in ask(partial(client.get_experiment, place)).tags:
            ask(partial(client.delete_experiment_tag, place, view))
        if name:
            ask(partial(client.delete_experiment, place))


def _delete_files(uri: str, owner: str, database: Database) -> None:
    """Those of a run or a model, which MLflow keeps in a folder of its name."""
    folder = folder_at(uri)
    if folder is None:
        database.delete_files(uri)
    elif folder.parent.name == owner and folder.parent.is_dir():
        _remove(folder.parent)


def _delete_storage(storage: Storage) -> None:
    """Raises ValueError where it does not answer; the sweep's folder is there then, and can be deleted later."""
    if not storage.is_remote:
        if Path(storage.place).exists():
            _remove(Path(storage.place))
        return
    try:
        filesystem, path = storage.at(storage.place, quick=True)
        with suppress(FileNotFoundError):
            filesystem.delete_dir(path)
    except OSError as error:
        raise ValueError(f"the checkpoints in {storage.place} cannot be deleted: {storage.why(error)}") from None
