"""A limit on the memory of the process that trains.

Ray's `memory` resource only counts what trials ask for; nothing holds them to it. Here a thread looks at the process a
few times a second and raises in the training thread once it has more than it may. Only memory of the process's own
counts: the window store is mapped from a file that all trials share. Linux says how much that is; elsewhere the
limit decides how many trials run at a time and is not enforced.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from seisweep.workers.faults import MemoryLimitError

LOOK_EVERY_S = 0.1
_STATUS = Path("/proc/self/status")


@contextlib.contextmanager
def memory_limit(limit_gb: float | None) -> Iterator[None]:
    """While it is open, the thread that opened it gets a MemoryLimitError when the process exceeds the limit.

    It arrives at the next line of Python, after a call into C that may have taken the memory.
    """
    if limit_gb is None or own_memory_bytes() is None:
        yield
        return
    give_back()  # what an earlier trial of this process has left
    watcher = _Watcher(threading.get_ident(), int(limit_gb * 2**30))
    watcher.start()
    try:
        yield
    except MemoryLimitError as error:
        traceback.clear_frames(error.__traceback__)  # else a cycle keeps what they hold, from Python 3.12 on
        raise MemoryLimitError(
            f"over its memory limit: {watcher.seen_bytes / 2**30:.2f} GB of {limit_gb:g} GB"
        ) from None
    finally:
        watcher.end()
        give_back()


class _Watcher(threading.Thread):
    """Raises once in another thread, unless it was ended before."""

    def __init__(self, thread_id: int, limit_bytes: int) -> None:
        super().__init__(name="memory-limit", daemon=True)
        self.thread_id, self.limit_bytes, self.seen_bytes = thread_id, limit_bytes, 0
        self._ended = threading.Event()
        self._raising = threading.Lock()

    def run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self.seen_bytes = own_memory_bytes() or 0
            if self.seen_bytes > self.limit_bytes:
                with self._raising:
                    if not self._ended.is_set():
                        _raise_in(self.thread_id, MemoryLimitError)
                return

    def end(self) -> None:
        """Nothing is raised after this, also not what was on its way."""
        self._ended.set()
        with self._raising:
            _raise_in(self.thread_id, None)


def own_memory_bytes() -> int | None:
    """Memory of this process that no file backs; None where the system does not tell."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def give_back() -> None:
    """Collect garbage, and hand memory that the C library keeps for later back to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _raise_in(thread_id: int, exception: type[BaseException] | None) -> None:
    """None takes back an exception that has not yet arrived."""
    argument = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), argument)
