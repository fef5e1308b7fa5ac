"""Where the files of a home are now: it may have been moved or copied since their places were written down.

MLflow's database, configurations and older ledgers hold absolute places. The home remembers where it has lain, and
every such place is read as what lies in the home now (`Places`): a copy never reads or writes the original. Before
anything is written, the database is brought up to where the home lies (`settle`), because MLflow itself resolves
nothing. A home that cannot be written is read as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock

from seisweep.private.mlflow import artifact_roots, files_left_behind, move_artifacts
from seisweep.settings.driver_lock import LOCK_FILE, has_driver
from trainables.atomic import whole_file

FILE = "home.json"
"""Of a home: every place that it has lain at, the newest last."""


@dataclass(frozen=True)
class Places:
    """What was written down as lying in one place, and where that is now."""

    moves: tuple[tuple[str, str], ...] = ()
    """Absolute paths: of a folder or file then and now. The first that fits counts."""

    def here(self, text: str) -> str:
        """A path, or any words that paths stand in, with those that were moved as they are now."""
        if self._pattern is None:
            return text
        now = dict(self.moves)
        return self._pattern.sub(lambda found: now[found.group()], text)

    def uri_here(self, uri: str) -> str:
        """The same of an address: only one of files can have been moved."""
        place = urlparse(uri)
        if not self.moves or place.scheme not in ("", "file"):
            return uri
        path = unquote(place.path)
        return uri if (now := self.here(path)) == path else Path(now).as_uri()

    def everywhere(self, value: Any) -> Any:
        """The same in every text of plain data."""
        if not self.moves:
            return value
        if isinstance(value, str):
            return self.here(value)
        if isinstance(value, dict):
            return {key: self.everywhere(item) for key, item in value.items()}
        return [self.everywhere(item) for item in value] if isinstance(value, list | tuple) else value

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not self.moves:
            return None
        wanted = "|".join(re.escape(was) for was, _ in self.moves)
        return re.compile(rf"(?<![\w./-])(?:{wanted})(?![\w.-])")


NOWHERE_ELSE = Places()


def lain_at(root: Path, database: Path) -> list[Path]:
    """Where a home has lain, as its own file and its database say, the newest last. Empty for a new one."""
    return list(dict.fromkeys([*_remembered(root), *artifact_roots(database)]))


def moved_since(root: Path, lain: Iterable[Path]) -> Places:
    """What lay in a home at those places lies in it here."""
    return Places(tuple((str(place), str(root)) for place in lain if place != root))


def settle(root: Path, database: Path, sweeps: Path) -> list[Path]:
    """The home's own record says that its files lie here, where MLflow finds and writes them. Returns where they lay
    before, if that is somewhere else. Raises ValueError where the home is in use at that other place."""
    with FileLock(root / "mlflow.lock"):
        remembered, recorded = _remembered(root), artifact_roots(database)
        others = [place for place in dict.fromkeys([*remembered[-1:], *recorded]) if place != root]
        if others:
            _check_that_nothing_runs(others, sweeps)
        for place in others:
            for was, now in files_left_behind(database, place, root):
                shutil.copytree(was, now)
            move_artifacts(database, place, root)
        if remembered[-1:] != [root]:
            lain = [place for place in dict.fromkeys([*remembered, *recorded]) if place != root]
            with whole_file(root / FILE) as arriving:
                arriving.write_text(json.dumps({"lain_at": [*map(str, lain), str(root)]}, indent=2))
    return others


def can_be_written(folder: Path) -> bool:
    """By whoever we are; of a disk that is mounted read-only not even by root."""
    return os.access(folder, os.W_OK | os.X_OK)


def _remembered(root: Path) -> list[Path]:
    """What the home's file says. Raises ValueError in one line where it cannot be read."""
    file = root / FILE
    try:
        return [Path(place) for place in json.loads(file.read_text(encoding="utf-8"))["lain_at"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {' '.join(str(error).split())[:120]}") from None


def _check_that_nothing_runs(others: list[Path], sweeps: Path) -> None:
    for lock in sorted(sweeps.glob(f"*/{LOCK_FILE}")):
        if has_driver(lock.parent):
            raise ValueError(
                f"{lock.parent.name} of this home is running now, under {others[-1]}: use the home there, or wait "
                "until it is over"
            )
