"""Which MLflow store: where a sweep is recorded, and where a name is looked up. The only place that decides it.

A sweep stays in the store that it began in, whatever the environment says: its `sweep.json` names that store, and
resume, extend, confirm, promote and every reader of a sweep that the home has use it. A new sweep, and a name that
the home does not have, go by the profile, then by MLFLOW_TRACKING_URI, then to the home's own store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from seisweep.say import say_once
from seisweep.settings.home import Home
from seisweep.settings.places import FILE, NOWHERE_ELSE, Places
from seisweep.settings.profile import Profile
from seisweep.settings.sent import sent_with

VARIABLE = "MLFLOW_TRACKING_URI"
OWN = "home"
"""What `sweep.json` says where a sweep is recorded in its home's own store, wherever that home lies."""


@dataclass(frozen=True)
class Store:
    """An MLflow store and who chose it."""

    uri: str
    chosen_by: str = ""
    """Empty for the home's own store."""
    artifacts_uri: str | None = None
    """Where experiments that are made there keep their files; None: as the store itself has it."""
    said: bool = False
    """The user has been told of it."""

    @property
    def is_own(self) -> bool:
        return not self.chosen_by

    @property
    def kept_as(self) -> str:
        """What `sweep.json` says of it."""
        return OWN if self.is_own else self.uri

    def say(self) -> Store:
        """Where it is not the home's own, one line on standard error says so, once a process."""
        if not self.is_own and not self.said:
            say_once(f"in the store {self.uri} ({self.chosen_by})")
        return self


def own_store(home: Home) -> Store:
    """The home's own: a database in the home and a folder of files beside it."""
    return Store(home.mlflow_uri, artifacts_uri=home.artifacts_dir.as_uri())


def store_by_default(home: Home, profile: Profile | None = None) -> Store:
    """For a new sweep, and for what the home does not have: the profile's, MLFLOW_TRACKING_URI, the home's own."""
    if profile is not None and profile.tracking_uri:
        return _store_at(profile.tracking_uri, f"profile {profile.name}", home)
    return _store_at(os.environ.get(VARIABLE) or OWN, VARIABLE, home)


def _store_at(uri: str, chosen_by: str, home: Home) -> Store:
    """The store of an address. One that is a file is made absolute: a sweep is resumed from other folders too."""
    scheme, slashes, path = uri.partition(":///")
    files = None
    if slashes and scheme.startswith("sqlite") and path:
        uri = f"{scheme}:///{Path(path).absolute()}"
        files = (Path(path).absolute().parent / "mlruns").as_uri()  # MLflow would take the current folder's
    elif ":" not in uri and uri != OWN:
        uri = str(Path(uri).expanduser().absolute())
    return own_store(home) if uri in (OWN, home.mlflow_uri) else Store(uri, chosen_by, files)


def given_store(uri: str, home: Home) -> Store:
    """The store of an address that a command was given, where a sweep is to be recorded too. Raises ValueError."""
    if "://" not in uri and not uri.startswith("sqlite:"):
        raise ValueError(f"--to {uri}: give the address of an MLflow server, as http://HOST:5000")
    store = _store_at(uri.rstrip("/"), "--to", home)
    if store.is_own:
        raise ValueError(f"--to {uri} is this home's own store: `seisweep merge FILE` takes a sweep in")
    return store


def store_of_sweep(home: Home, name: str, profile: Profile | None = None) -> Store:
    """Where a sweep is recorded: as its folder in the home says, else the default, else where it was sent to from this
    home. Where that is not what profile or environment say, one line tells so. Raises ValueError where the folder's
    description cannot be read."""
    default = store_by_default(home, profile)
    if not home.sweep_file(name).is_file():
        sent = sent_with(home, name) if default.is_own else None
        return _store_at(sent.tracking_uri, f"{name} was sent there", home) if sent and sent.tracking_uri else default
    found = kept_store(home, name)
    if found.uri != default.uri and not default.is_own:
        say_once(
            f"{name} is in the store that it began in, {found.uri}; {default.chosen_by} ({default.uri}) is ignored"
        )
        return replace(found, said=True)
    return found


def kept_store(home: Home, name: str) -> Store:
    """What the folder of a sweep says. Older ones say no store: the one of the profile that they began with, else the
    home's own."""
    uri = kept_address(read_description(home, name))
    if _database_of(uri, home.places) == home.database:
        return own_store(home)
    return _store_at(uri, f"{name} began there", home)


def kept_address(described: Mapping[str, Any]) -> str:
    """Where a description says that its sweep is recorded."""
    return described.get("store") or described["profile"].get("tracking_uri") or OWN


def _database_of(uri: str, places: Places) -> Path | None:
    """The file of a sqlite store, where it lies now."""
    scheme, _, path = uri.partition(":///")
    if not scheme.startswith("sqlite") or not path.startswith("/"):
        return None
    return Path(places.here(unquote(path) if "+" in scheme else path))


def home_of_store(uri: str) -> Home | None:
    """The home whose own store this is; None of a server, and of a database that lies in no home."""
    database = _database_of(uri, NOWHERE_ELSE)
    if database is None or Home(database.parent).database != database:
        return None
    home = Home(database.parent)
    return home if any(part.exists() for part in (home.root / FILE, home.sweeps_dir, home.artifacts_dir)) else None


def places_of_sweep(home: Home, name: str) -> Places:
    """Where what a sweep's settings name lies now: what was packed with it, and what lay in the homes that it was
    launched and went on in. A sweep that says nothing of it is older. Raises ValueError."""
    if not home.sweep_file(name).is_file():
        return home.places
    described, root = read_description(home, name), str(home.root)
    brought = [(was, str(home.sweep_dir(name) / part)) for was, part in described.get("places", {}).items()]
    lain, begun = [*(was for was, _ in home.places.moves), root], described.get("lain_at", [])
    if begun and begun[-1] in lain:  # where the home lay before the sweep began in it is none of its places
        lain = lain[lain.index(begun[-1]) :]
    return Places((*brought, *((was, root) for was in dict.fromkeys([*begun, *lain]) if was != root)))


def read_description(home: Home, name: str) -> dict[str, Any]:
    """`sweep.json` of a sweep of the home. Raises ValueError in one line that names the file."""
    file = home.sweep_file(name)
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(described, dict) or not isinstance(described.get("profile"), dict):
            raise ValueError("it does not describe a sweep")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: {' '.join(str(error).split())[:120]}") from None
    return described


def check_that_it_is_there(store: Store, home: Home, name: str = "") -> Store:
    """A store that is to be read exists: looking into one makes none. Raises ValueError in one line."""
    if not store.is_own or home.database.exists():
        return store
    if name and home.sweep_file(name).is_file():
        raise ValueError(
            f"home {home.root} has the folder of {name} and not its record, {home.database.name} and "
            f"{home.artifacts_dir.name}/: bring them along, or write the record again from the folder with "
            f"`seisweep resume {name}`"
        )
    raise ValueError(
        f"home {home.root} holds no sweeps yet: start with `seisweep demo`, or name another home in SEISWEEP_HOME"
    )


def ready_to_write(store: Store, home: Home) -> Store:
    """The home has its folders and, where the store is its own, its database; what was moved knows where it lies now,
    which one line says. Raises ValueError in one line."""
    home.prepare()
    if store.is_own:
        home.prepare_store()
    other = home_of_store(store.uri)
    for written in [home] if other in (None, home) else [home, other]:
        if moved := written.settle():
            say_once(
                f"the home was moved from {', '.join(map(str, moved))} to {written.root}: its record has the new paths"
            )
    return store
