"""A process that takes more memory than it may hears of it where it trains."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from seisweep.workers.faults import MemoryLimitError
from seisweep.workers.memory_limit import memory_limit, own_memory_bytes


def now_gb() -> float:
    used = own_memory_bytes()
    assert used is not None, "Linux tells it"
    return used / 2**30


def hoard(gb: float) -> None:
    held = []
    for _ in range(int(gb * 64)):
        held.append(bytearray(2**24))
        time.sleep(0.01)
    time.sleep(2)


def test_too_much_memory_raises_where_it_is_taken():
    limit_gb = round(now_gb() + 0.3, 2)
    with (
        pytest.raises(MemoryLimitError, match=rf"over its memory limit: .* of {limit_gb:g} GB"),
        memory_limit(limit_gb),
    ):
        hoard(3.0)
    assert now_gb() < limit_gb, "what was taken is given back"


def test_less_than_the_limit_passes():
    with memory_limit(now_gb() + 1.0):
        hoard(0.1)


def test_what_is_over_raises_no_more(monkeypatch):
    """What was on its way when the limit ended is taken back: nothing arrives in the lines after it."""
    monkeypatch.setattr(
        "seisweep.workers.memory_limit.give_back", lambda: None
    )  # which takes long in a process of many tests
    for _ in range(10):
        with contextlib.suppress(MemoryLimitError), memory_limit(now_gb() + 0.01):
            held = bytearray(2**26)
            time.sleep(0.1)
        held = None
        assert held is None
        time.sleep(0.15)


def test_no_limit_starts_no_watcher():
    with memory_limit(None):
        assert not any(thread.name == "memory-limit" for thread in threading.enumerate())
