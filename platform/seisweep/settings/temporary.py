"""Folders for what is fetched to be read: they end with the process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path


def fresh_folder() -> Path:
    """A new empty folder, which is there until this process ends."""
    return Path(tempfile.mkdtemp(dir=_of_this_process()))


@lru_cache
def _of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seisweep-fetched-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
