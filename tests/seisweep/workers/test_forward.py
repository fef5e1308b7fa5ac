"""In a Ray Train controller: which ends of workers end the trial, and which are tried again."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import ActorDiedError
from seisweep.workers import relay as engine_relay
from seisweep.workers.faults import Fault
from seisweep.workers.relay import Forward, Relay


class DiedError(ActorDiedError):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.error_msg = text


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Nodes that are gone; workers die on w1."""
    gone: set[str] = set()
    monkeypatch.setattr(engine_relay, "node_of_actor", lambda actor: "w1")
    monkeypatch.setattr(engine_relay, "is_lost", lambda node: node in gone)
    monkeypatch.setattr(engine_relay, "name_of", lambda node: node)
    return gone


KILLED = DiedError("The actor is dead because its worker process has died.")
PEER_LOST = Fault("error", "RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:21")


def test_a_worker_may_die_once_and_the_reason_says_where(lost):
    forward = Forward("relay", "attempt")
    assert forward._fault(None, [KILLED]) is None
    fault = forward._fault(PEER_LOST, [KILLED, RuntimeError("the other one")])
    how = "on w1, The actor is dead because its worker process has died."
    assert fault == Fault("error", f"its process died twice: {how}; {how}")


def test_a_lost_node_is_no_death_of_the_trial_however_often(lost):
    forward = Forward("relay", "attempt")
    lost.add("w1")
    for _ in range(5):
        assert forward._fault(Fault("node", "OSError: [Errno 101] Network is unreachable"), [KILLED]) is None
    lost.clear()
    assert forward._fault(None, [DiedError("The actor died because its node has died.")]) is None
    assert forward._fault(None, [KILLED]) is None, "its first own death"


def test_a_worker_that_misses_another_of_which_ray_has_not_heard_is_tried_again_once(lost):
    forward = Forward("relay", "attempt")
    assert forward._fault(PEER_LOST, [RuntimeError("x")]) is None
    fault = forward._fault(PEER_LOST, [RuntimeError("x")])
    assert fault is not None
    assert fault.reason.count("one of its workers lost another: RuntimeError: ") == 2


def test_what_a_worker_raised_ends_the_trial_with_its_reason(lost):
    forward = Forward("relay", "attempt")
    mine = Fault("error", "ValueError: bad", "w1")
    assert forward._fault(mine, [ValueError("bad")]) == mine
    assert forward._fault(None, [ValueError("before our own code")]) == Fault("error", "before our own code")
    diverged = Fault("diverged", "loss is nan")
    assert forward._fault(diverged, [KILLED]) == diverged
    monitor = DiedError("1 worker(s) were killed due to the node running low on memory.")
    assert forward._fault(None, [monitor]).kind == "memory"


def test_workers_of_nodes_about_to_leave_end_and_that_is_said_once(monkeypatch):
    removed: list[str] = []
    monkeypatch.setattr(engine_relay, "remove_placement_group", removed.append)

    async def said() -> None:
        relay = Relay()
        for attempt, node in (("a", "w1"), ("a", "w2"), ("b", "w3")):
            await relay.register(attempt, f"group of {attempt}", node)
        await relay.vacate(["w2"])
        assert removed == ["group of a"]
        assert [await relay.was_moved(attempt) for attempt in ("a", "a", "b")] == [True, False, False]
        await relay.register("a", "new group", "w3")
        await relay.vacate(["w2"])
        assert removed == ["group of a"]
        await relay.use(["w1", "w3"])
        assert await relay.usable() == ["w1", "w3"]

    asyncio.run(said())
