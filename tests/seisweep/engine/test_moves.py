"""Which ends of a trial's process count as its own, and where it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import PlacementGroupFactory
from seisweep.engine import moves as engine_moves
from seisweep.engine.moves import Moves
from seisweep.workers.faults import Fault

KILLED = (
    "The actor died unexpectedly before finishing this task.\n\tactor_id: aa\nThe actor is dead because its worker "
    "process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection "
    "error code 2. End of file. Some common causes include: (1) the process was killed by the OOM killer"
)
WITH_NODE = "The actor died because its node has died. Node Id: bb"
NO_MODULE = "The actor died because of an error raised in its creation task\nModuleNotFoundError: No module named 'x'"
OWN = "its process died twice: on w1, Worker unexpectedly exits with a connection error code 2. End of file."


class Machines:
    """The nodes w1, w2 (and those that a test adds), as `Nodes` knows them."""

    def __init__(self) -> None:
        self.usable, self.leaving, self.lost = {"w1", "w2"}, set(), set()
        self.blamed: list[tuple[str, str]] = []

    def name(self, node: str) -> str:
        return node

    def others(self, avoided: set[str]) -> set[str]:
        return self.usable - avoided

    def is_lost(self, node: str) -> bool:
        return node in self.lost

    def blame(self, node: str, reason: str) -> None:
        self.blamed.append((node, reason))


class Trial(SimpleNamespace):
    """A Tune trial on w1, which Tune allows one failure."""

    def __init__(self) -> None:
        group = PlacementGroupFactory([{"CPU": 1}])
        super().__init__(trial_id="a", max_failures=1, status="RUNNING", config={}, placement_group_factory=group)

    def update_resources(self, wanted: Any) -> None:
        self.placement_group_factory = wanted


@pytest.fixture
def machines() -> Machines:
    return Machines()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    ended: list[Any] = []
    monkeypatch.setattr(engine_moves, "node_of_trial", lambda trial: "w1")
    monkeypatch.setattr(engine_moves, "node_of_actor", lambda actor: "")
    monkeypatch.setattr(engine_moves, "actor_of", lambda trial: trial.trial_id)
    monkeypatch.setattr(engine_moves.ray, "kill", ended.append)
    return ended


@pytest.fixture
def begun(machines, killed) -> tuple[Moves, Trial]:
    moves, trial = Moves(machines), Trial()
    moves.began(trial)
    return moves, trial


def avoided(trial: Trial) -> list[str]:
    return sorted(getattr(trial.placement_group_factory, "avoided", ()))


def test_a_failure_before_the_first_report_is_tried_once_on_another_node(begun, machines):
    moves, trial = begun
    assert moves.takes(trial, Fault("error", "no such file", "w1"))
    assert trial.max_failures == 2
    moves.of_end(trial, "RuntimeError: no such file")
    moves.before_it_is_tried_again(trial)
    assert (avoided(trial), trial.config["avoid"]) == (["w1"], ["w1"])
    assert moves.why("a") == "failed on w1 before its first report (no such file)"
    moves.began(trial)
    assert not moves.takes(trial, Fault("error", "no such file", "w2")), "once"
    assert not moves.died_too_often("a")


def test_the_node_is_to_blame_where_the_trial_runs_elsewhere(begun, machines):
    moves, trial = begun
    moves.takes(trial, Fault("error", "no such file", "w1"))
    moves.began(trial)
    moves.reported("a")
    moves.reported("a")
    assert machines.blamed == [("w1", "no such file")]


def test_a_failure_after_a_report_is_the_trials_own_but_for_want_of_something_there(begun):
    moves, trial = begun
    moves.reported("a")
    assert not moves.takes(trial, Fault("error", "index out of range", "w1"))
    assert moves.takes(trial, Fault("node", "ModuleNotFoundError", "w1"))
    assert moves.why("a") == "failed on w1 (ModuleNotFoundError)"


def test_without_another_node_there_is_no_second_try(begun, machines):
    moves, trial = begun
    machines.usable = {"w1"}
    assert not moves.takes(trial, Fault("error", "no such file", "w1"))


def test_a_lost_node_never_counts(begun, machines):
    moves, trial = begun
    machines.lost = {"w1"}
    for failures in range(1, 6):
        assert failures <= trial.max_failures, "Tune would not try it again"
        moves.of_end(trial, KILLED if failures % 2 else WITH_NODE)
        assert moves.why("a") == "node w1 is gone"
    assert avoided(trial) == []
    assert not moves.died_too_often("a")


def test_a_lost_node_does_not_end_a_trial_that_died_before(begun, machines):
    moves, trial = begun
    moves.reported("a")
    moves.of_end(trial, KILLED)
    assert (moves.why("a"), moves.died_too_often("a"), trial.max_failures) == ("", "", 2)
    moves.of_end(trial, WITH_NODE)
    assert trial.max_failures == 3


def test_a_death_just_before_its_node_is_found_gone_is_forgotten(begun):
    moves, trial = begun
    moves.reported("a")
    moves.of_end(trial, KILLED)
    moves.pardon({"w2"})
    assert moves.last_death("a").startswith("on w1")
    moves.pardon({"w1"})
    moves.of_end(trial, KILLED)
    assert not moves.died_too_often("a")


def test_a_process_dies_once_and_not_twice_and_the_reason_says_where(begun):
    moves, trial = begun
    moves.reported("a")
    moves.of_end(trial, KILLED)
    moves.before_it_is_tried_again(trial)
    assert avoided(trial) == [], "after its first report it may go on where it was"
    moves.began(trial)
    moves.of_end(trial, KILLED)
    assert moves.died_too_often("a").startswith(OWN)
    assert moves.died_too_often("a").count("on w1") == 2
    assert trial.max_failures == 2, "or it would be tried for ever"
    assert not moves.is_of_the_node("a")


def test_a_process_that_dies_before_its_first_report_begins_elsewhere(begun):
    moves, trial = begun
    moves.of_end(trial, KILLED)
    moves.before_it_is_tried_again(trial)
    assert avoided(trial) == ["w1"]


def test_processes_that_never_began_for_want_of_a_module_leave_the_trial_open(begun):
    moves, trial = begun
    moves.of_end(trial, NO_MODULE)
    moves.of_end(trial, NO_MODULE)
    assert moves.is_of_the_node("a")
    assert "No module named 'x'" in moves.last_death("a")


def test_trials_on_a_node_about_to_leave_are_ended_and_go_on_for_nothing(begun, machines, killed):
    moves, trial = begun
    moves.leave({"w2"})
    assert killed == []
    moves.leave({"w1"})
    moves.leave({"w1"})
    assert (killed, trial.max_failures) == (["a"], 2)
    moves.of_end(trial, KILLED)
    assert moves.why("a") == "node w1 is about to leave"
    assert not moves.died_too_often("a")


def test_a_trial_that_still_begins_there_moves_at_once(begun, machines, killed):
    moves, trial = begun
    machines.leaving = {"w1"}
    moves.began(trial)
    assert killed == ["a"]


def test_a_trial_that_is_over_is_not_touched(begun, killed):
    moves, _ = begun
    moves.over("a")
    moves.leave({"w1"})
    assert killed == []
