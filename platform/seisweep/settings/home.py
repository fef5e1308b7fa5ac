"""The home: one folder that holds data, caches, sweeps and MLflow's database.

`SEISWEEP_HOME`, default `./seisweep-home`. Looking at a home creates nothing; `prepare` does.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from search_spaces.sweep import LONGEST_NAME, NAME_PATTERN
from seisweep.private.mlflow import create_store, sqlite_uri
from seisweep.settings.free_disk import check_room
from seisweep.settings.interrupts import interrupts_wait
from seisweep.settings.places import Places, can_be_written, lain_at, moved_since, settle

SWEEP_FILE = "sweep.json"
"""Of the folder of a sweep: what it is and where it is recorded."""

_OF_RAY = re.compile(r"^/tmp/ray(/|$)|/session_(latest|\d{4}-\d\d-\d\d_[^/]*)(/|$)")
"""Folders that Ray makes for itself and removes."""


class NameTakenError(ValueError):
    """Another sweep has this name, here or in the store, perhaps only since it was found to be free."""


@dataclass(frozen=True)
class Home:
    """Where everything of seisweep lives on this machine. All paths are absolute."""

    root: Path

    @classmethod
    def find(cls) -> Home:
        """The home of the environment: `SEISWEEP_HOME`, else `./seisweep-home`."""
        return cls(Path(os.environ.get("SEISWEEP_HOME") or "seisweep-home").expanduser().resolve())

    @property
    def database(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        """Tracking URI of the home's own store."""
        return sqlite_uri(self.database)

    @property
    def artifacts_dir(self) -> Path:
        """MLflow's artifacts of the home's own store."""
        return self.root / "artifacts"

    @property
    def cache_dir(self) -> Path:
        """Window stores and measured architecture costs, shared by all trials."""
        return self.root / "cache"

    @property
    def fetched_dir(self) -> Path:
        """Data and weights that lie elsewhere, as this machine has fetched them."""
        return self.cache_dir / "fetched"

    @property
    def data_dir(self) -> Path:
        """Data sets written by seisweep."""
        return self.root / "data"

    @property
    def profiles_dir(self) -> Path:
        """The user's own profiles."""
        return self.root / "profiles"

    @property
    def sweeps_dir(self) -> Path:
        return self.root / "sweeps"

    @property
    def jobs_dir(self) -> Path:
        """What was submitted from here to clusters: a file a sweep."""
        return self.root / "jobs"

    @property
    def pickers_dir(self) -> Path:
        """Picker folders of promoted models, by name."""
        return self.root / "pickers"

    def sweep_dir(self, name: str) -> Path:
        """Folder of one sweep: its description, search state and checkpoints. Raises ValueError where the text is no
        sweep's name: a path would lead out of the home."""
        if not _is_name(name):
            allowed = f"letters, digits, dots, dashes and underscores, at most {LONGEST_NAME}"
            raise ValueError(f"{name[:80]!r} cannot be the name of a sweep: {allowed}")
        return self.sweeps_dir / name

    def sweep_file(self, name: str) -> Path:
        """What a sweep is; there is such a sweep here where there is such a file."""
        return self.sweep_dir(name) / SWEEP_FILE

    @property
    def sweep_names(self) -> list[str]:
        """The sweeps of this home. A folder that is arriving, or a copy of one, is none."""
        return sorted(name for file in self.sweeps_dir.glob(f"*/{SWEEP_FILE}") if _is_name(name := file.parent.name))

    @cached_property
    def places(self) -> Places:
        """Where what lay in this home lies now, since it was moved or copied here. Raises ValueError."""
        return moved_since(self.root, lain_at(self.root, self.database))

    @property
    def is_read_only(self) -> bool:
        """It is there, and nothing can be written into it."""
        return self.root.is_dir() and not can_be_written(self.root)

    def settle(self) -> list[Path]:
        """From now on this is where the home lies, for MLflow too. Returns where it lay before, if that was somewhere
        else. Raises ValueError where the home is in use there."""
        return settle(self.root, self.database, self.sweeps_dir)

    def check(self) -> None:
        """The home can be written, has room, and stays. Creates nothing. Raises ValueError in one line."""
        if lies_with_ray(str(self.root)):
            raise ValueError(
                f"home {self.root} lies in Ray's temporary folders, which go with the job or the cluster: choose a "
                "folder that stays in SEISWEEP_HOME"
            )
        existing = self.root
        while not existing.exists():
            existing = existing.parent
        if not existing.is_dir():
            raise ValueError(f"home {self.root}: {existing} is a file; choose another folder in SEISWEEP_HOME")
        if not can_be_written(existing):
            raise ValueError(f"home {self.root} cannot be written; choose another folder in SEISWEEP_HOME")
        check_room(self.root, "home", "free some, or choose another disk in SEISWEEP_HOME")

    def prepare(self) -> Home:
        """Check, then create the folders. Raises ValueError in one line."""
        self.check()
        try:
            for folder in (self.root, self.cache_dir, self.data_dir, self.sweeps_dir, self.artifacts_dir):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{uuid.uuid4().hex}"
            probe.write_bytes(bytes(2**16))
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"home {self.root} cannot be written: {error.strerror}; choose another one in SEISWEEP_HOME"
            ) from None
        return self

    def prepare_store(self) -> str:
        """The home's MLflow database, created on first use; returns its tracking URI.

        Under a lock and under a temporary name: processes that create it together would break it.
        """
        self.prepare()
        with FileLock(self.root / "mlflow.lock"):
            if not self.database.exists():
                arriving = self.root / "mlflow.arriving.db"
                arriving.unlink(missing_ok=True)
                with interrupts_wait():  # MLflow takes a database that it has begun for whole, in the same process
                    create_store(arriving, self.artifacts_dir)
                for left in ("-wal", "-shm"):  # of a database that was taken away: SQLite would put it into this one
                    self.database.with_name(f"{self.database.name}{left}").unlink(missing_ok=True)
                arriving.rename(self.database)
        return self.mlflow_uri


def lies_with_ray(place: str) -> bool:
    """Whether a path lies in folders that Ray removes."""
    return _OF_RAY.search(place) is not None


def _is_name(text: str) -> bool:
    return len(text) <= 255 and re.fullmatch(NAME_PATTERN, text) is not None
