"""A sweep whose Ray has died is ended by a thread of its own."""

from __future__ import annotations

import socket
import threading

import pytest
from seisweep.engine.ray_watchdog import watchdog


@pytest.fixture
def head():
    """Stands for the head of a cluster: somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def address(head: socket.socket) -> str:
    return f"127.0.0.1:{head.getsockname()[1]}"


def test_it_is_called_when_nobody_listens_any_more(head):
    died = threading.Event()
    with watchdog(address(head), 0.1, died.set):
        assert not died.wait(2.0), "somebody listens"
        head.close()
        assert died.wait(30.0)


def test_it_is_not_called_once_the_sweep_is_over(head):
    died = threading.Event()
    with watchdog(address(head), 0.1, died.set):
        pass
    head.close()
    assert not died.wait(2.0)


def test_who_leaves_while_it_acts_waits_for_it(head):
    begun, done = threading.Event(), threading.Event()

    def die() -> None:
        begun.set()
        done.wait(0.5)
        done.set()

    with watchdog(address(head), 0.1, die):
        head.close()
        assert begun.wait(30.0)
    assert done.is_set()
