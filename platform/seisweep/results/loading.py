"""Sweeps out of a store by their names: one, several as one table, or all that there are."""

from __future__ import annotations

import pandas as pd

from seisweep.record import tags
from seisweep.results import tables
from seisweep.results.open_store import open_store
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.places import NOWHERE_ELSE
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import (
    Store,
    check_that_it_is_there,
    home_of_store,
    places_of_sweep,
    store_by_default,
    store_of_sweep,
)


def load(name: str, tracking_uri: str | None = None) -> SweepResults:
    """A sweep by name: from the store `tracking_uri`; else from where it is recorded, if the home has it; else from the
    store of MLFLOW_TRACKING_URI, or the home's own. Raises ValueError."""
    if tracking_uri is None:
        return load_from(Home.find(), name)
    return _load(name, tracking_uri, home_of_store(tracking_uri))


def _load(name: str, uri: str, home: Home | None) -> SweepResults:
    """`home`: whose sweep it may be, which knows what has been moved since."""
    reader = open_store(uri)
    found = reader.sweeps(name)
    if not found:
        known = [run.data.tags[tags.SWEEP] for run in reader.sweeps()]
        raise ValueError(f"no sweep named {name} in {reader.uri}{nearest(name, known)}")
    return SweepResults(name, reader, found[0], places_of_sweep(home, name) if home else NOWHERE_ELSE)


def load_from(home: Home, name: str, profile: Profile | None = None) -> SweepResults:
    """The same with the home and the profile of a command. A store that is not the home's own is named on standard
    error. Raises ValueError."""
    store = check_that_it_is_there(store_of_sweep(home, name, profile), home, name)
    loaded = _load(name, store.uri, home if home.sweep_file(name).is_file() else home_of_store(store.uri))
    store.say()
    return loaded


def names_in(store: Store, home: Home) -> list[str]:
    """The sweeps of a store by name, the latest first; none where there is no store yet. Raises ValueError."""
    if store.is_own and not home.database.exists():
        return []
    return [run.data.tags[tags.SWEEP] for run in open_store(store.uri).sweeps()]


def join(*sweeps: str | SweepResults, tracking_uri: str | None = None) -> pd.DataFrame:
    """The trials of several sweeps, loaded or by name, as one table: sweep, trial, what any of them searched, then
    the columns of `trials`. A setting that a sweep did not search is missing there. Raises ValueError."""
    loaded = [load(sweep, tracking_uri) if isinstance(sweep, str) else sweep for sweep in sweeps]
    rows = [
        {"sweep": sweep.name, "trial": number, **tables.row_of(run)}
        for sweep in loaded
        for number, run in sweep.runs.items()
    ]
    varied = dict.fromkeys(key for sweep in loaded for key in sweep.params)
    return tables.trials_frame(rows, ["sweep", "trial", *varied])


def sweeps(tracking_uri: str | None = None, profile: Profile | None = None) -> pd.DataFrame:
    """The sweeps of a store, the latest first: name, kind, state, trials, best trial and value, when, note.

    The store: `tracking_uri`, else the profile's, that of MLFLOW_TRACKING_URI, or the home's own. Raises ValueError.
    """
    if tracking_uri is None:
        home = Home.find()
        store = check_that_it_is_there(store_by_default(home, profile), home)
        parents = open_store(store.uri).sweeps()
        store.say()
    else:
        parents = open_store(tracking_uri).sweeps()
    return tables.sweeps_frame(parents)
