"""Notices that Ray has died under a sweep, so that the driver ends with a word.

A call into a Ray whose head is gone waits for it, for a minute; then Ray ends the process from inside, whatever the
sweep still has to write down.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

PROBE_EVERY_S = 0.5
LOCAL_PATIENCE_S = 2.0
CLUSTER_PATIENCE_S = 45.0
"""The head of a cluster may be started again; a local one is not."""


@contextlib.contextmanager
def watchdog(address: str, patience_s: float, on_death: Callable[[], None]) -> Iterator[None]:
    """While it is open, a thread calls `on_death` once nobody has listened at `address` (host:port) for so long.

    `on_death` ends the process: the main thread cannot be woken where it waits for Ray.
    """
    over, acting = threading.Event(), threading.Lock()

    def watch() -> None:
        heard_s = time.monotonic()
        while not over.wait(PROBE_EVERY_S):
            if _listens(address):
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > patience_s:
                with acting:
                    if not over.is_set():
                        on_death()
                return

    threading.Thread(target=watch, name="ray-watchdog", daemon=True).start()
    try:
        yield
    finally:
        with acting:  # where the thread is ending the process, this waits for that
            over.set()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True
