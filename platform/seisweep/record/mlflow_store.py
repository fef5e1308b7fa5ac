"""What is asked of an MLflow store, whoever asks: the writer of runs or the reader of results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from seisweep.private.mlflow import read_only_uri, underlying_uri
from seisweep.record.gc_pause import no_collections
from seisweep.record.mlflow_answers import (
    NoAnswerError,
    NotLetInError,
    RefusedError,
    ask,
    ask_at_the_start,
    keeps_out,
    why_not_let_in,
)
from seisweep.settings.temporary import fresh_folder
from seisweep.settings.which_store import home_of_store

PAGE = 1000


def search_runs(client: MlflowClient, wanted: str, experiment_id: str | None = None) -> list[Run]:
    """All runs that the filter `wanted` takes, of one experiment or of all. Raises ValueError."""
    with store_answers(client.tracking_uri), no_collections():
        return ask_at_the_start(lambda: _all_runs(client, wanted, experiment_id))


def runs_of_experiment(client: MlflowClient, wanted: str, experiment_id: str | None = None) -> list[Run]:
    """The same in the middle of writing. Raises NoAnswerError or RefusedError."""
    return ask(lambda: _all_runs(client, wanted, experiment_id))


def experiment_named(client: MlflowClient, name: str, artifact_location: str | None) -> str:
    """Id of the experiment, made or taken out of the bin where need be. Raises ValueError."""

    def found_or_made() -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return client.create_experiment(name, artifact_location=artifact_location)
            except MlflowException:  # another home may have made it in between
                if (found := client.get_experiment_by_name(name)) is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found.experiment_id

    with store_answers(client.tracking_uri):
        return ask_at_the_start(found_or_made)


@contextmanager
def store_answers(uri: str) -> Iterator[None]:
    """What a store that is away, or lets this user not in, raises, as a ValueError in one line."""
    try:
        yield
    except NotLetInError as error:
        raise NotLetInError(f"the tracking store {uri} does not let you in: {error}") from None
    except (MlflowException, OSError, NoAnswerError, RefusedError) as error:
        if status := keeps_out(error):
            raise NotLetInError(f"the tracking store {uri} does not let you in: {why_not_let_in(status)}") from None
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the tracking store {uri} does not answer: {reason}") from None


def _all_runs(client: MlflowClient, wanted: str, experiment_id: str | None) -> list[Run]:
    experiments = [experiment_id] if experiment_id else [e.experiment_id for e in client.search_experiments()]
    found: list[Run] = []
    token = None
    while experiments:
        page = client.search_runs(experiments, wanted, max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def fetched(uri: str, store: str, folder: Path | None = None) -> Path:
    """The files of `runs:/ID` or `models:/NAME@ALIAS`, copied into a folder where one is given, or a server has them
    (then until this process ends). Those of a home are found wherever it lies now, whether or not it can be written.
    Raises MLflow's errors and OSError."""
    from mlflow.artifacts import download_artifacts

    home = home_of_store(store)
    place = None if folder is None and home is not None else str(folder or fresh_folder())
    asked = read_only_uri(home.database) if home is not None and home.is_read_only else store
    with mlflow_asks(asked):
        if home is not None and home.places.moves:
            lay = underlying_uri(uri)
            if (lies := home.places.uri_here(lay)) != lay:
                uri = f"{lies}/" if uri.endswith("/") else lies
        return Path(download_artifacts(uri, dst_path=place))


@contextmanager
def mlflow_asks(store: str) -> Iterator[None]:
    """While it is open, MLflow's environment names this store: it looks for a model's alias nowhere else, whatever
    it is told, and would make a store of its own in the current folder."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ.update(dict.fromkeys(names, store))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
