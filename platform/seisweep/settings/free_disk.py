"""Room on disk: what must be free to start and to go on."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

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
