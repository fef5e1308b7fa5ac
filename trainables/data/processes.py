"""Several processes that share a job: how many, and that none outlives the one that began them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

MOST_PROCESSES = 8
"""More would read no faster from one disk."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Called in a new process: it is killed when the one that has made it ends, however that ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
