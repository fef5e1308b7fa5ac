"""Nodes that are good, bad, slow, new, about to leave, gone: which of them get trials."""

from __future__ import annotations

from typing import Any

import pytest
from seisweep.engine import nodes as engine_nodes
from seisweep.engine.cluster import Resources
from seisweep.engine.nodes import Nodes
from seisweep.engine.preflight import Node, Question, Verdict
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage


class World:
    """A cluster as Ray would tell of it. `answers`: what is wrong on a node, or None while it is silent."""

    def __init__(self) -> None:
        self.alive: dict[str, Node] = {}
        self.answers: dict[str, str | None] = {}
        self.leaving: set[str] = set()

    def add(self, name: str, problem: str | None = "", cpus: float = 2, id: str = "") -> None:
        node = Node(id or name, name, "10.0.0.1", {"CPU": cpus})
        self.alive[node.id], self.answers[node.id] = node, problem


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    there = World()

    class Check:
        def __init__(self, node: Node, question: Question) -> None:
            self.node = node

        def verdict(self) -> Verdict | None:
            problem = there.answers[self.node.id]
            return None if problem is None else Verdict(self.node, {}, {"data": problem} if problem else {})

    monkeypatch.setattr(engine_nodes, "nodes_alive", lambda: list(there.alive.values()))
    monkeypatch.setattr(engine_nodes, "nodes_leaving", lambda: there.leaving)
    monkeypatch.setattr(engine_nodes, "NodeCheck", Check)
    monkeypatch.setattr(engine_nodes, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(engine_nodes, "is_lost", lambda node_id: node_id not in there.alive)
    return there


@pytest.fixture
def begin(world, toy_sweep, tmp_path):
    """The nodes of a session, after the first look, and the lines that were said."""

    def built(**fields: Any) -> tuple[Nodes, list[str]]:
        said: list[str] = []
        question = Question(None, {}, Storage(str(tmp_path)), "", False, "probe")
        wanted = Resources(toy_sweep(**fields), Profile())
        nodes = Nodes(question, wanted, None, said.append)
        nodes.first_look()
        return nodes, said

    return built


def test_a_bad_node_is_named_and_gets_no_trial(world, begin, tmp_path):
    world.add("w1")
    world.add("w2", "its data are not there")
    nodes, said = begin()
    assert said == ["node w2 (10.0.0.1) is left out: its data are not there"]
    assert (set(nodes.usable), nodes.slots()) == ({"w1"}, 2)
    assert nodes.left_out_by_name == [("w2 (10.0.0.1)", "its data are not there")]
    assert list(tmp_path.iterdir()) == [], "the driver's file stays"


def test_without_a_good_node_nothing_begins(world, begin, tmp_path):
    for number in range(7):
        world.add(f"w{number}", "seisweep is not installed there" if number else "its clock is wrong")
    with pytest.raises(
        ValueError, match=r"no node can run a trial: w1 .*w5 \(10.0.0.1\) \.\.\.: seisweep is not .*; w0"
    ):
        begin()
    assert list(tmp_path.iterdir()) == []


def test_where_the_one_node_with_room_is_bad_it_is_named(world, begin, tmp_path):
    world.add("w1", cpus=1)
    world.add("w2", "bad", cpus=64)
    with pytest.raises(ValueError, match=r"no node can run a trial: w2 \(10.0.0.1\): bad"):
        begin(cpus_per_worker=2)
    assert list(tmp_path.iterdir()) == []


def test_a_node_without_room_for_a_worker_is_not_asked(world, begin):
    world.add("head", "seisweep is not installed there", cpus=0)
    world.add("w1")
    nodes, said = begin()
    assert (said, nodes.left_out, set(nodes.usable)) == ([], {}, {"w1"})
    with pytest.raises(ValueError, match="does not fit: the machines have 2 CPU"):
        begin(cpus_per_worker=3)


def test_a_slow_node_holds_nobody_up_and_joins_later(world, begin, monkeypatch, tmp_path):
    monkeypatch.setattr(engine_nodes, "OTHERS_WAIT_S", -1)
    world.add("w1")
    world.add("slow", None)
    nodes, said = begin()
    assert said == ["node slow (10.0.0.1) has not answered yet: trials run there once it has answered and can run them"]
    assert nodes.slots() == 2
    world.answers["slow"] = ""
    nodes.look()
    assert nodes.slots() == 4
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_joins_is_checked_and_makes_room(world, begin, tmp_path):
    world.add("w1")
    nodes, said = begin()
    changes: list[int] = []
    nodes.changed.append(lambda: changes.append(nodes.slots()))
    nodes.look()
    world.add("w2")
    world.add("w3", "bad")
    nodes.look()
    assert changes == [4]
    assert said == ["node w2 (10.0.0.1) has joined: trials run there too", "node w3 (10.0.0.1) is left out: bad"]
    assert list(tmp_path.iterdir()) == []


def test_a_node_about_to_leave_is_left_at_once_and_told_of_once(world, begin):
    world.add("w1")
    world.add("w2")
    nodes, said = begin()
    told: list[set[str]] = []
    nodes.leave.append(lambda leaving: told.append(set(leaving)))
    world.leaving = {"w2"}
    nodes.look()
    nodes.look()
    assert told == [{"w2"}]
    assert (nodes.slots(), nodes.is_lost("w2"), nodes.is_lost("w1")) == (2, True, False)
    assert said == ["node w2 (10.0.0.1) is about to leave: its trials go on elsewhere"]


def test_a_lost_node_gets_no_trial_and_the_same_machine_may_come_back(world, begin):
    world.add("w1")
    world.add("w2", "bad")
    nodes, _ = begin()
    del world.alive["w2"]
    nodes.look()
    assert len(nodes.left_out) == 1, "it held nothing that was asked for, gone or not"
    world.add("w2", id="w2 again")
    nodes.look()
    assert (set(nodes.usable), nodes.left_out) == ({"w1", "w2 again"}, {})
    told: list[set[str]] = []
    nodes.lost.append(lambda lost: told.append(set(lost)))
    del world.alive["w2 again"]
    assert nodes.is_lost("w2 again"), "before the next look"
    nodes.look()
    nodes.look()
    assert nodes.slots() == 2
    assert told == [{"w2 again"}]


def test_a_node_is_left_out_when_trials_failed_there_and_not_elsewhere(world, begin):
    world.add("w1")
    world.add("w2")
    nodes, said = begin()
    nodes.blame("w2", "no such file")
    assert nodes.slots() == 4
    nodes.blame("w2", "no such file")
    assert nodes.slots() == 2
    assert said == ["node w2 (10.0.0.1) is left out: 2 trials failed there and not elsewhere: no such file"]
    for _ in range(3):
        nodes.blame("w1", "no such file")
    assert nodes.slots() == 2, "the last one stays"


def test_a_sweep_waits_long_but_not_for_ever_for_a_node(world, begin, monkeypatch):
    world.add("w1")
    nodes, _ = begin()
    del world.alive["w1"]
    nodes.look()
    assert (nodes.slots(), nodes.obstacle) == (0, "")
    monkeypatch.setattr(engine_nodes, "NO_NODE_PATIENCE_S", -1)
    assert nodes.obstacle.startswith("no node has been able to run a trial for")
