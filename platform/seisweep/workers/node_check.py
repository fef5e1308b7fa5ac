"""What a node must have before trials run there, tried out on it by one Ray task: the code, the data, the storage.

`on_this_node` travels by value and imports what it needs there: a node without seisweep could not even unpickle a
function of it. Everything else is ordinary code, which that node has as well as the driver. What the answers are worth
is for the driver to say.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import uuid
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seisweep.settings.probe import try_out
from seisweep.settings.storage import Storage
from trainables.fetched import keep_in

PACKAGES = ("seisweep", "trainables", "search_spaces")
"""Whose source must be the driver's."""


def on_this_node(asked: dict[str, Any]) -> dict[str, Any]:
    """What this node is and lacks; sent there as it is. Never raises."""
    import platform
    import socket

    try:
        from seisweep.workers.node_check import examine

        return examine(asked)
    except ImportError as error:
        own = (error.name or "").partition(".")[0] == "seisweep"
        why = "seisweep is not installed there" if own else f"seisweep cannot be imported there: {error}"
    except Exception as error:  # an installation in pieces raises anything
        why = f"seisweep cannot be imported there: {type(error).__name__}: {error}"
    return {
        "host": socket.gethostname(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "problems": {"seisweep": " ".join(why.split())},
    }


def clock_of_this_node() -> float:
    """Seconds since 1970, as this machine has it; sent there as it is."""
    import time

    return time.time()


def examine(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What this node is, and in `problems` what a trial would lack here, by what was looked at.

    `asked`: `sweep` as plain data, or None; `fetching`, the arguments of `keep_in`, or None; `storage`, a `Storage` as
    plain data, and `probe`, the name of a file in it that the driver has written, or None; `cache`, a folder, or None.
    """
    problems: dict[str, str] = {}

    def tried(what: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except Exception as error:  # of a user's own module, or of whatever keeps their data
            problems[what] = " ".join(f"{_named(error)}{error}".split())[:300]
            return None

    if asked.get("fetching"):
        folder, endpoint = asked["fetching"]
        keep_in(Path(folder), endpoint)
    facts = tried("data", lambda: facts_here(asked["sweep"])) if asked.get("sweep") else {}
    if asked.get("storage"):
        tried("storage", lambda: use_storage(Storage(**asked["storage"]), asked["probe"]))
    if asked.get("cache"):
        tried("cache", lambda: use_folder(Path(asked["cache"])))
    return versions_here() | {"facts": facts or {}, "problems": problems}


def versions_here() -> dict[str, Any]:
    """Versions of what decides the numbers of a trial, and the machine's GPUs as torch sees them."""
    import torch

    cuda = torch.version.cuda if torch.cuda.is_available() else ""
    return {
        "host": socket.gethostname(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "seisweep": f"{_version('seisweep') or 'unpacked'} {code_digest()}",
        "ray": _version("ray"),
        "torch": torch.__version__,
        "cuda": cuda or "",
        "gpus": torch.cuda.device_count() if cuda else 0,
        "token": os.environ.get("RAY_AUTH_MODE", "") == "token",
    }


def code_digest() -> str:
    """Of the source of seisweep and of the rooms below it: two checkouts of one version are not the same."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for folder in _folders(package):
            for file in sorted(folder.rglob("*.py")):
                digest.update(f"{package}/{file.relative_to(folder).as_posix()}".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def facts_here(sweep: Mapping[str, Any]) -> dict[str, str]:
    """What the trainable's preflight says of data and models, as seen from here. Raises what it raises."""
    from search_spaces.sweep import Sweep
    from seisweep.requested.trainable import Trainable

    asked = Sweep.model_validate(sweep)
    return Trainable.find(asked.trainable).facts(asked)


def use_storage(storage: Storage, probe: str) -> None:
    """Read the driver's file at this place, then write, read and remove another one. Raises OSError or ValueError."""
    place = storage.place
    filesystem, folder = storage.at(place, quick=True)
    try:
        with filesystem.open_input_stream(f"{folder}/{probe}") as file:
            found = file.read().decode()
    except FileNotFoundError:
        raise ValueError(_not_shared(place)) from None
    if found != probe:
        raise ValueError(_not_shared(place))
    try_out(filesystem, folder)


def use_folder(folder: Path) -> None:
    """Write, read and remove a file in the folder, or where it would be made. Creates no folder. Raises OSError."""
    file = first_there(folder) / f".seisweep-check-{uuid.uuid4().hex[:8]}"
    file.write_text("")
    try:
        file.read_text()
    finally:
        file.unlink()


def first_there(folder: Path) -> Path:
    """The folder, or the first of those above it that is there."""
    return next(above for above in (folder, *folder.parents) if above.exists())


def _not_shared(place: str) -> str:
    return f"{place} is not the driver's there: storage_path must be a folder that all nodes share, or a URI"


def _named(error: Exception) -> str:
    """What comes before the message: nothing where it was written for people."""
    return "" if isinstance(error, ValueError) else f"{type(error).__name__}: "


def _folders(package: str) -> list[Path]:
    import importlib

    return [Path(folder) for folder in importlib.import_module(package).__path__]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
