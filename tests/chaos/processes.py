"""Processes of this machine, read from /proc: descendants, names, kills that tell whether they hit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """A process; `start` tells it from a later one with the same id."""

    pid: int
    start: str

    @property
    def title(self) -> str:
        with contextlib.suppress(OSError):
            return (PROC / str(self.pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return ""

    @property
    def alive(self) -> bool:
        facts = _facts(self.pid)
        return facts is not None and facts[19] == self.start and facts[0] != "Z"

    def kill(self) -> bool:
        """SIGKILL; True where it hit."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
                return True
        return False


def descendants(pid: int) -> set[Process]:
    """Children of a process, and theirs."""
    parents: dict[int, list[Process]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (facts := _facts(int(entry.name))):
            parents.setdefault(int(facts[1]), []).append(Process(int(entry.name), facts[19]))
    found: set[Process] = set()
    open_pids = [pid]
    while open_pids:
        for child in parents.get(open_pids.pop(), []):
            if child not in found:
                found.add(child)
                open_pids.append(child.pid)
    return found


def outlasting(processes: Iterable[Process], limit_s: float) -> list[Process]:
    """Those that are still alive after so long."""
    deadline_s = time.monotonic() + limit_s
    while (alive := [process for process in processes if process.alive]) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return alive


def _facts(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: state, parent, ..., at 19 the start time; None where it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
