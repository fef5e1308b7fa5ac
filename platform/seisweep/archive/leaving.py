"""What goes when a sweep is deleted, and what keeps it from being deleted. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModel, Run, RunStatus, ViewType
from mlflow.tracking import MlflowClient

from seisweep.engine.launch import sweep_state
from seisweep.engine.sweep_folder import Launch
from seisweep.record import tags
from seisweep.record.mlflow_answers import RefusedError, ask
from seisweep.record.mlflow_store import PAGE, store_answers
from seisweep.results.files import folder_at
from seisweep.results.open_store import is_database, open_store
from seisweep.settings.driver_lock import has_driver
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage, storage_of
from seisweep.settings.which_store import Store, read_description, store_of_sweep

RUNNING = RunStatus.to_string(RunStatus.RUNNING)
DEFAULT_EXPERIMENT = "0"
"""Comes with every store, and stays."""


@dataclass(frozen=True)
class Leaving:
    """A sweep that can be deleted, and all that goes with it."""

    name: str
    state: str
    """finished, failed or interrupted; empty where nothing says it."""
    folder: Path | None
    """Its own; None where only the record is there."""
    store: Store
    runs: list[Run]
    """Of its trials, its own last."""
    models: list[LoggedModel]
    folders: list[Path]
    """Its files on this machine, its own folder the last."""
    experiments: dict[str, str]
    """Where its runs are, by id: those of a database that are empty then have their name."""
    storage: Storage | None
    """Where its checkpoints lie outside of its folder, if they are its own alone."""
    stays: list[str]
    """What does not go, in words."""

    @property
    def is_for_good(self) -> bool:
        """Of a database; a server keeps runs in its bin."""
        return is_database(self.store.uri)

    @property
    def size(self) -> tuple[int, int]:
        """Files and bytes on this machine."""
        sizes = [file.lstat().st_size for folder in self.folders for file in folder.rglob("*") if file.is_file()]
        return len(sizes), sum(sizes)


def look(name: str, home: Home, profile: Profile, *, is_locked: bool = False) -> Leaving:
    """What would go. Changes nothing. Raises ValueError in one line: there is no such sweep, it runs, it has been
    promoted, or its store does not answer."""
    folder = home.sweep_dir(name)
    launch = Launch.read(home, name) if home.sweep_file(name).is_file() else None
    store = store_of_sweep(home, name, profile)
    if home.is_read_only:
        raise ValueError(f"home {home.root} cannot be written, so nothing in it can be deleted")
    if not is_locked and has_driver(folder):
        raise ValueError(f"{name} is running now: `seisweep stop {name}` ends it, then it can be deleted")
    has_record = not store.is_own or home.database.exists()
    parents = open_store(store.uri).sweeps(name) if has_record else []
    if launch and not store.is_own and launch.lain_at != [str(home.root)]:
        _check_that_it_is_over_elsewhere(name, store, launch, parents)
    if launch is None:
        _check_that_it_can_be_found(name, home, store, [run.data.tags[tags.SWEEP] for run in parents])
    with store_answers(store.uri):
        found = _Recorded.of(store, launch, parents) if has_record else _Recorded([], [], {}, set())
        if has_record:
            _check_that_it_is_not_promoted(name, store, found.ids)
    files = list(_folders(found, home)) if is_database(store.uri) else []
    storage, stays = _storage(launch, home)
    return Leaving(
        name=name,
        state=_state(name, home, launch),
        folder=folder if folder.is_dir() else None,
        store=store,
        runs=found.runs,
        models=found.models,
        folders=[*files, *([folder] if folder.is_dir() else [])],
        experiments=found.experiments,
        storage=storage,
        stays=[*stays, *_named_by(name, [folder, *files], home)],
    )


def _state(name: str, home: Home, launch: Launch | None) -> str:
    """A sweep whose ledger is broken can be deleted too."""
    with suppress(ValueError):
        return sweep_state(home, name) if launch else ""
    return ""


def _check_that_it_can_be_found(name: str, home: Home, store: Store, recorded: Sequence[str]) -> None:
    """Of a sweep whose folder is not here, or does not say what it is, the home's own store has a record. Raises
    ValueError."""
    if not recorded:
        raise ValueError(f"no sweep named {name} in {home.root}{nearest(name, home.sweep_names)}")
    if not store.is_own:
        raise ValueError(f"{name} is recorded in {store.uri}, but its folder is in another home: delete it there")


def _check_that_it_is_over_elsewhere(name: str, store: Store, launch: Launch, parents: Sequence[Any]) -> None:
    """Of a home that came from elsewhere, or its copy, the record is shared with that one. Raises ValueError."""
    if any(run.info.status == RUNNING for run in parents):
        raise ValueError(
            f"{name} runs by its record in {store.uri}, perhaps in {launch.lain_at[0]}, where it was launched: stop it "
            f"there, or `seisweep resume {name}` here, then it can be deleted"
        )


@dataclass(frozen=True)
class _Recorded:
    """What a store holds of a sweep."""

    runs: list[Run]
    """A server has them no longer once they are in its bin."""
    models: list[LoggedModel]
    experiments: dict[str, str]
    ids: set[str]
    """Of all its runs, those in a bin too."""

    @classmethod
    def of(cls, store: Store, launch: Launch | None, parents: Sequence[Any]) -> _Recorded:
        """Raises NoAnswerError and RefusedError."""
        client = MlflowClient(tracking_uri=store.uri)
        facts = parents[0].data.tags if parents else {}
        sweep_id, kind = (launch.id, launch.sweep.name) if launch else (facts[tags.SWEEP_ID], facts[tags.KIND])
        known = {one.experiment_id: one for one in _every(client.search_experiments, ViewType.ALL)}
        own = [run for run in _runs(client, known, f"tags.{tags.SWEEP_ID} = '{sweep_id}'") if not _is_promotion(run)]
        own.sort(key=lambda run: run.data.tags.get(tags.ROLE) != tags.TRIAL_ROLE)
        ids = {run.info.run_id for run in own}
        places = {run.info.experiment_id for run in own}
        places |= {one for one, experiment in known.items() if experiment.name == kind}
        models, experiments = [], {}
        for place in sorted(places):
            in_it = list(_models(client, place))
            models += [model for model in in_it if model.source_run_id in ids]
            has_others = any(model.source_run_id not in ids for model in in_it) or any(
                run.info.run_id not in ids for run in _runs(client, [place])
            )
            is_active = known[place].lifecycle_stage == "active"
            # Taken out of a server's bin, an experiment would bring all its runs along.
            goes = is_database(store.uri) and not has_others and place != DEFAULT_EXPERIMENT and is_active
            experiments[place] = known[place].name if goes else ""
        runs = own if is_database(store.uri) else [run for run in own if run.info.lifecycle_stage == "active"]
        return cls(runs, models, experiments, ids)


def _every(search: Callable[..., Any], *what: Any, **more: Any) -> Iterator[Any]:
    """All pages of an answer, one after the other."""
    token = None
    while True:
        page = ask(partial(search, *what, page_token=token, **more))
        yield from page
        if not (token := page.token):
            return


def _runs(client: MlflowClient, experiments: Iterable[str], wanted: str = "") -> Iterator[Run]:
    """Those in the bin too."""
    places = list(experiments)
    return _every(client.search_runs, places, wanted, ViewType.ALL, max_results=PAGE) if places else iter(())


def _is_promotion(run: Run) -> bool:
    return bool(run.data.tags.get(tags.ROLE) == tags.PROMOTION_ROLE)


def _models(client: MlflowClient, experiment: str) -> Iterator[LoggedModel]:
    """None of a server that knows no models but registered ones."""
    try:
        yield from _every(client.search_logged_models, [experiment])
    except RefusedError:
        return


def _check_that_it_is_not_promoted(name: str, store: Store, runs: set[str]) -> None:
    """No trial has opened a test split, also where somebody has put the record of that into MLflow's bin. Raises
    ValueError."""
    client = MlflowClient(tracking_uri=store.uri)
    experiments = [one.experiment_id for one in _every(client.search_experiments, ViewType.ALL)]
    for run in _runs(client, experiments, f"tags.{tags.ROLE} = '{tags.PROMOTION_ROLE}'"):
        facts = run.data.tags
        if facts.get(tags.PROMOTED_RUN) in runs and facts.get(tags.STATE) != tags.REFUSED:
            raise ValueError(
                f"{name} has been promoted: trial {facts.get(tags.TRIAL)} opened a test split, and the record of that "
                "needs its sweep; it is not deleted"
            )


def _folders(found: _Recorded, home: Home) -> Iterator[Path]:
    """Of runs and models, where they lie in folders of their own on this machine."""
    named = [(run.info.artifact_uri, run.info.run_id) for run in found.runs]
    named += [(model.artifact_location, model.model_id) for model in found.models]
    for uri, name in named:
        folder = folder_at(home.places.uri_here(uri))
        if folder is not None and folder.parent.name == name and folder.parent.is_dir():
            yield folder.parent


def _storage(launch: Launch | None, home: Home) -> tuple[Storage | None, list[str]]:
    """Where the profile keeps the checkpoints. Those of a sweep that came from another home may be that home's."""
    named = storage_of(launch.profile) if launch else None
    if launch is None or named is None or not named.place:
        return None, []
    own = named.below(f"{launch.name}-{launch.id[:8]}")
    if launch.lain_at == [str(home.root)]:
        return own, []
    return None, [f"checkpoints in {own.place}: the home that the sweep was launched in may need them"]


def _named_by(name: str, folders: Iterable[Path], home: Home) -> Iterator[str]:
    """Other sweeps of the home that are about it."""
    for other in home.sweep_names:
        described: dict[str, Any] = {}
        with suppress(ValueError):  # one that cannot be read keeps nobody from deleting this one
            described = read_description(home, other) if other != name else {}
        confirms = (described.get("sweep") or {}).get("confirms") or {}
        if any(re.search(rf"{re.escape(str(folder))}(?![^/'\"])", str(described)) for folder in folders):
            yield f"{other}, which starts from its files and could then no longer be resumed"
        elif confirms.get("sweep") == name:
            yield f"{other}, which trained its best trials again"
