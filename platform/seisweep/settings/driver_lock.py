"""One driver a sweep: the lock that says so, who holds it, and a look at it that keeps nobody out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from seisweep.settings import in_a_job

LOCK_FILE, DRIVER_FILE = "driver.lock", "driver.json"
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


AGAIN_S = 180.0
"""How long one waits that takes the place of another on a machine that was lost: a shared disk may keep the lock."""


class Driver(NamedTuple):
    """Which process runs a sweep, and on which machine."""

    host: str
    pid: int
    job: str
    """The job of a cluster that it is; empty where it is none."""


def driver_of(folder: Path) -> Driver | None:
    """Who runs the sweep now; None where nobody does, or an older version of seisweep, which leaves no word."""
    if not has_driver(folder):
        return None
    try:
        said = json.loads((folder / DRIVER_FILE).read_text(encoding="utf-8"))
        return Driver(said["host"], int(said["pid"]), said["job"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """One driver a sweep. The system drops the lock of a process that dies, however it dies."""
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=AGAIN_S if in_a_job.is_again() else LOOK_S, poll_interval=0.01)
    except Timeout:
        raise ValueError(f"the sweep {folder.name} is running now, in another process") from None
    try:
        with contextlib.suppress(OSError):  # a full disk: then nobody can tell it to stop
            said = Driver(platform.node(), os.getpid(), in_a_job.which())._asdict()
            (folder / DRIVER_FILE).write_text(json.dumps(said), encoding="utf-8")
        yield
    finally:
        lock.release()
