"""One driver a sweep: the lock that says so, and a look at it that keeps nobody out."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = "driver.lock"
"""Of the folder of a sweep."""

LOOK_S = 1.0
"""How long a driver waits for its lock: longer than anyone looks whether it is taken."""


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
