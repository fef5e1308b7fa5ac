"""A sweep on disk: its folder, what was asked for, and the lock of its driver."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_spaces.sweep import Sweep
from seisweep.settings.earlier import as_it_began
from seisweep.settings.home import SWEEP_FILE, Home, NameTakenError
from seisweep.settings.places import NOWHERE_ELSE, Places
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import OWN, kept_address, places_of_sweep, read_description
from trainables.atomic import sync_folder, whole_file

LEDGER_FILE = "ledger.jsonl"
JOURNAL_FILE = "study.journal"
CHECKPOINTS, LOGS = "tune", "logs"
"""Folders in it."""


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
    lain_at: list[str] = field(default_factory=list)
    """Where its home lay when it was launched; of one that an archive brought, also where it lay later. Empty in older
    ones."""
    knows_unlabelled: bool = False
    """Whether a phase that is not labelled may be unknown in it; in older ones it stays noise."""
    asks_once: bool = False
    """Whether its trials may keep a teacher's outputs for each other; those of older ones asked each for itself."""
    places: dict[str, str] = field(default_factory=dict)
    """Files that its settings name by absolute paths, and where in its folder they are: an archive brought them."""
    moved: Places = NOWHERE_ELSE
    """What its settings name and is somewhere else now; not written down."""

    @property
    def sweep_here(self) -> Sweep:
        """The sweep with all places as they are now. The study knows it as it was."""
        return Sweep.model_validate(self.moved.everywhere(self.sweep.model_dump())) if self.moved.moves else self.sweep

    def place(self, kept: str) -> str:
        """Where a checkpoint is that the ledger has: a path or a URI.

        Places in the sweep's folder are kept relative to it. Older ledgers have where they lay before the home was
        moved: those are looked for in this folder, so that a copy never touches what it was copied from.
        """
        if "://" in kept:
            return kept
        is_older = re.match(rf".*/sweeps/[^/]+/{CHECKPOINTS}/(.*)", kept)  # by whatever name it had then
        found = self.folder / CHECKPOINTS / is_older[1] if is_older else self.folder / self.moved.here(kept)
        return os.path.normpath(found)

    def kept_as(self, place: str) -> str:
        """What the ledger keeps of the place of a checkpoint: the inverse."""
        inside = "://" not in place and Path(place).is_relative_to(self.folder)
        return str(Path(place).relative_to(self.folder)) if inside else place

    @property
    def scratch(self) -> str:
        """Name of the folders of its trials on whatever machine they run."""
        return f"seisweep-{self.id}"

    def write(self) -> None:
        """The folder appears whole: under another name first. Raises NameTakenError where there is one already."""
        arriving = self.folder.with_name(f".{self.folder.name}.{self.id}")
        for part in (CHECKPOINTS, LOGS):
            (arriving / part).mkdir(parents=True)
        with whole_file(arriving / SWEEP_FILE) as file:
            file.write_text(json.dumps(self.as_dict(), indent=2))
        try:
            arriving.rename(self.folder)
            sync_folder(self.folder.parent)
        except OSError:
            shutil.rmtree(arriving)
            if not self.folder.exists():
                raise
            raise NameTakenError(f"a sweep named {self.name} has just been launched: choose another --name") from None

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
            "lain_at": self.lain_at,
            "knows_unlabelled": self.knows_unlabelled,
            "asks_once": self.asks_once,
            "places": self.places,
        }

    @classmethod
    def read(cls, home: Home, name: str) -> Launch:
        """Raises ValueError in one line where the file cannot be read."""
        kept, moved = read_description(home, name), places_of_sweep(home, name)
        knows_unlabelled = kept.get("knows_unlabelled", False)
        try:
            sweep = Sweep.model_validate(kept["sweep"])
            return cls(
                folder=home.sweep_dir(name),
                id=kept["id"],
                name=kept["name"],
                sweep=sweep if knows_unlabelled else as_it_began(sweep),
                profile=Profile.model_validate(moved.everywhere(kept["profile"])),
                note=kept["note"],
                created=kept["created"],
                tags=kept["tags"],
                store=kept_address(kept),
                best_apart=kept.get("best_apart", False),
                lain_at=kept.get("lain_at", []),
                knows_unlabelled=knows_unlabelled,
                asks_once=kept.get("asks_once", False),
                places=kept.get("places", {}),
                moved=moved,
            )
        except (KeyError, ValueError) as error:
            reason = f"it says no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
            raise ValueError(f"{home.sweep_file(name)} cannot be read: {reason}") from None
