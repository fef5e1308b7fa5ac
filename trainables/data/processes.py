"""Several processes that share a job: how many, and that none outlives the one that began them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

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


@contextlib.contextmanager
def interpreters(arguments: Sequence[Sequence[str]], errors: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Pythons with these arguments, which end when this does; what they complain of goes to `errors`. Fresh ones: a
    trial has threads, which a fork would not survive."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    started = []
    try:
        with errors.open("ab") as stream:
            for its in arguments:
                command = [sys.executable, "-W", "ignore", *its]  # one's warning is not another's last word
                started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stream))
        yield started
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def last_words(errors: Path) -> str:
    """The last line of what they complained of; "" where they did not."""
    return errors.read_text(errors="replace").strip().rpartition("\n")[2]
