"""A sweep on disk: its folder, what was asked for, and the lock of its driver."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from search_spaces.sweep import Sweep
from seisweep.settings.home import SWEEP_FILE, Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import OWN, kept_address, read_description
from trainables.atomic import whole_file

LEDGER_FILE = "ledger.jsonl"
JOURNAL_FILE = "study.journal"
LOCK_FILE = "driver.lock"

LOOK_S = 1.0
"""How long a driver waits for its lock: longer than anyone looks whether it is taken."""


class NameTakenError(ValueError):
    """Another process has launched a sweep of this name since it was found to be free."""


@dataclass(frozen=True)
class Launch:
    """A sweep on disk: what was asked for, when, and the tags that all its runs carry."""

    folder: Path
    id: str
    name: str
    sweep: Sweep
    profile: Profile
    note: str
    created: str
    tags: dict[str, str]
    store: str = OWN
    """Where it is recorded: `home`, or the address of another store."""
    best_apart: bool = False
    """Whether MLflow tells best and last apart (`record/metric_names.py`); older ones go on as they began."""

    @property
    def scratch(self) -> str:
        """Name of the folders of its trials on whatever machine they run."""
        return f"seisweep-{self.id}"

    def write(self) -> None:
        """The folder appears whole: under another name first. Raises NameTakenError where there is one already."""
        arriving = self.folder.with_name(f".{self.folder.name}.{self.id}")
        for part in ("tune", "logs"):
            (arriving / part).mkdir(parents=True)
        with whole_file(arriving / SWEEP_FILE) as file:
            file.write_text(json.dumps(self.as_dict(), indent=2))
        (arriving / LEDGER_FILE).touch()
        try:
            arriving.rename(self.folder)
        except OSError:
            shutil.rmtree(arriving)
            if not self.folder.exists():
                raise
            raise NameTakenError(f"a sweep named {self.name} was launched a moment ago: choose --name") from None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "sweep": self.sweep.model_dump(mode="json"),
            "profile": self.profile.model_dump(mode="json"),
            "note": self.note,
            "created": self.created,
            "tags": self.tags,
            "store": self.store,
            "best_apart": self.best_apart,
        }

    @classmethod
    def read(cls, home: Home, name: str) -> Launch:
        """Raises ValueError in one line where the file cannot be read."""
        kept = read_description(home, name)
        try:
            return cls(
                folder=home.sweep_dir(name),
                id=kept["id"],
                name=kept["name"],
                sweep=Sweep.model_validate(kept["sweep"]),
                profile=Profile.model_validate(kept["profile"]),
                note=kept["note"],
                created=kept["created"],
                tags=kept["tags"],
                store=kept_address(kept),
                best_apart=kept.get("best_apart", False),
            )
        except (KeyError, ValueError) as error:
            reason = f"it says no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
            raise ValueError(f"{home.sweep_file(name)} cannot be read: {reason}") from None


def has_driver(folder: Path) -> bool:
    """Whether a process runs the sweep now. Many may look at once, and none of them keeps a driver out: they share the
    lock for an instant, which a driver waits for."""
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(file)


@contextlib.contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """One driver a sweep. The system drops the lock of a process that dies, however it dies."""
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=LOOK_S, poll_interval=0.01)
    except Timeout:
        raise ValueError(f"the sweep {folder.name} is running now, in another process") from None
    try:
        yield
    finally:
        lock.release()
