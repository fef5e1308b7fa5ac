"""The folder of a store that is made once for all trials of a machine: under a lock, and whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


def made_once(folder: Path, is_complete: Callable[[], bool], make: Callable[[], None]) -> None:
    """Have `make` make the folder where it is not complete; who comes meanwhile waits. Raises ValueError in one line
    where nothing can be written."""
    cache_dir = folder.parent
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not is_complete():
            with FileLock(cache_dir / f"{folder.name}.lock"):
                if not is_complete():
                    make()
    except OSError as error:
        raise ValueError(f"data.cache_dir={cache_dir}: cannot be written ({error.strerror or error})") from error


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Another name to write under, which is renamed when the block ends: a killed build leaves nothing that looks like
    a store. For who holds the lock: what an earlier builder has left is removed."""
    for stale in folder.parent.glob(f".building-{folder.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)  # we hold the lock, so its builder is dead
    arriving = folder.parent / f".building-{folder.name}-{os.getpid()}"
    arriving.mkdir()
    try:
        yield arriving
        shutil.rmtree(folder, ignore_errors=True)
        arriving.rename(folder)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def check_room(what: str, needed_gb: float, cache_dir: Path, remedies: str) -> None:
    """Hold a store's size against the free space of its disk. Raises ValueError in one line."""
    free_gb = shutil.disk_usage(cache_dir).free / 1e9
    if needed_gb > free_gb:
        raise ValueError(
            f"data.cache_dir={cache_dir}: {what} take {needed_gb:.1f} GB and the disk has {free_gb:.1f} GB free; use "
            f"{remedies}"
        )
