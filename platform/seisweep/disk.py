"""Room on disk: what must be free to start and to go on, and what the checkpoints of a sweep may take."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray import tune

logger = logging.getLogger(__name__)

MIN_FREE_BYTES = 500 * 2**20
"""Below this much free disk a sweep is not started."""

LAST_FREE_BYTES = 200 * 2**20
"""Below this much a running sweep ends, so that what is under way can still be written."""

LOOK_EVERY_S = 5.0


def check_room(place: Path, what: str, remedy: str) -> None:
    """Enough is free to start. Raises ValueError in one line."""
    free = free_bytes(place)
    if free < MIN_FREE_BYTES:
        raise ValueError(
            f"{what} {place} is full: {free / 2**20:.0f} MB free, {MIN_FREE_BYTES / 2**20:.0f} MB are needed; {remedy}"
        )


def free_bytes(place: Path) -> int:
    """Free bytes of the disk on which a folder lies, or will."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


class FreeDisk:
    """Looks every few seconds whether the disks of a running sweep still have room."""

    def __init__(self, places: Iterable[Path]) -> None:
        self.places = [*places, Path(tempfile.gettempdir())]
        self._next_look_s = 0.0

    @property
    def fullest(self) -> Path:
        """Where the least is free."""
        return min(self.places, key=free_bytes)

    def full(self) -> str:
        """Which disk is nearly full, in one line; empty while all is well."""
        if time.monotonic() < self._next_look_s:
            return ""
        self._next_look_s = time.monotonic() + LOOK_EVERY_S
        for place in self.places:
            free = free_bytes(place)
            if free < LAST_FREE_BYTES:
                return f"disk full at {place} ({free / 2**20:.0f} MB free): free some space"
        return ""


class CheckpointBudget:
    """Bytes that the checkpoints of a sweep take, against what they may take."""

    def __init__(self, budget_gb: float | None) -> None:
        self.budget_gb = budget_gb
        self._bytes: dict[str, int] = {}

    def exceeded(self, places: Iterable[str]) -> bool:
        """Whether these checkpoints take more than they may. Each is measured once: it does not change."""
        return self.budget_gb is not None and self.used_bytes(places) > self.budget_gb * 1e9

    def used_bytes(self, places: Iterable[str]) -> int:
        self._bytes = {place: self._bytes.get(place) or checkpoint_bytes(place) for place in places}
        return sum(self._bytes.values())


def checkpoint_bytes(place: str) -> int:
    """Size of a checkpoint's files; 0 where it is gone or its storage does not answer."""
    try:
        if "://" not in place:
            return sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        from pyarrow.fs import FileSelector
        from ray import tune

        checkpoint = tune.Checkpoint(place)
        listed = checkpoint.filesystem.get_file_info(FileSelector(checkpoint.path, recursive=True))
        return sum(info.size or 0 for info in listed)
    except OSError:
        return 0


def checkpoint_place(checkpoint: tune.Checkpoint) -> str:
    """Where a checkpoint lies, as a path or URI that `tune.Checkpoint` takes back."""
    scheme = checkpoint.filesystem.type_name
    return checkpoint.path if scheme == "local" else f"{scheme}://{checkpoint.path}"


def remove_checkpoint(place: str) -> None:
    """Remove a checkpoint that nothing needs any more; a failure costs disk and nothing else."""
    try:
        if "://" not in place:
            shutil.rmtree(place, ignore_errors=True)
        else:
            from ray import tune

            checkpoint = tune.Checkpoint(place)
            checkpoint.filesystem.delete_dir(checkpoint.path)
    except OSError as error:
        logger.warning("checkpoint %s: %s", place, error)
