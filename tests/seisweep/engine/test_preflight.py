"""What nodes say, held against what the driver has: a problem in one line that says what would be right."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ray.exceptions import RayTaskError, TaskUnschedulableError, WorkerCrashedError
from seisweep.engine import preflight
from seisweep.engine.preflight import Node, NodeCheck, Question, judge
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage

HERE = {"python": "3.11", "seisweep": "0.1.0 abcdef01", "ray": "2.60.0", "torch": "2.13.0+cu130", "gpus": 0}
NODE = Node("ab", "w1", "10.0.0.2", {"CPU": 2})


@pytest.fixture(autouse=True)
def _driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_versions_here", lambda: HERE)


def question(**fields: Any) -> Question:
    plain = {"sweep": None, "facts": {}, "storage": Storage("/"), "cache": "", "needs_gpu": False, "probe": "p"}
    return Question(**plain | fields)


def judged(asked: Question | None = None, node: Node = NODE, clock: tuple[float, float] = (0, 0), **said: Any) -> str:
    answer = HERE | {"facts": {}, "problems": {}} | said
    return judge(asked or question(), node, answer, *clock).reason


def test_a_node_like_the_driver_has_no_problem():
    assert judged() == ""
    assert judged(torch="2.13.0+cpu") == "", "another build of one version"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"python": "3.12"}, "it has python 3.12, the driver 3.11: both need the same"),
        ({"torch": "2.11.0"}, "it has torch 2.11.0, the driver 2.13.0+cu130: both need the same"),
        (
            {"seisweep": "0.1.0 99999999"},
            "it has seisweep 0.1.0 99999999, the driver 0.1.0 abcdef01: both need the same",
        ),
        ({"problems": {"storage": "no room"}}, "no room"),
        ({"problems": {"storage": "no room"}, "ray": "3"}, "it has ray 3, the driver 2.60.0: both need the same"),
    ],
)
def test_what_differs_is_named(said, reason):
    assert judged(**said) == reason


def test_other_data_are_named_and_missing_ones_once():
    asked = question(facts={"data_fingerprint": "a"})
    assert judged(asked, facts={"data_fingerprint": "a"}) == ""
    assert judged(asked, facts={"data_fingerprint": "b"}) == "its data differ: data_fingerprint b, on the driver a"
    assert judged(asked, problems={"data": "no such folder"}) == "no such folder"


@pytest.mark.parametrize(
    ("clock", "is_wrong"), [((5.5, 0.1), True), ((-7, 1), True), ((5.5, 1), False), ((4, 0), False)]
)
def test_a_clock_counts_beyond_the_round_trip(clock, is_wrong):
    assert bool(judged(clock=clock)) is is_wrong
    if is_wrong:
        assert ("ahead of" if clock[0] > 0 else "behind") + " the driver's: set both clocks by NTP" in judged(
            clock=clock
        )


def test_a_gpu_that_torch_does_not_see_counts_where_one_is_needed():
    node = Node("ab", "w1", "10.0.0.2", {"CPU": 2, "GPU": 1})
    assert judged(question(), node) == ""
    assert judged(question(needs_gpu=True), node).startswith("Ray counts 1 GPU there and torch sees 0")
    assert judged(question(needs_gpu=True), node, gpus=1) == ""
    assert judged(question(needs_gpu=True), NODE) == "", "a node without GPUs gets no trial that wants one"


class Task:
    def options(self, **_: Any) -> Task:
        return self

    def remote(self, *_: Any) -> Task:
        return self


@pytest.mark.parametrize(
    ("raised", "begins"),
    [
        (
            RayTaskError("f", "Traceback:\nValueError: bad marshal data", ValueError("x")),
            "it cannot run code of Python",
        ),
        (WorkerCrashedError(), "the check was killed there: "),
        (TaskUnschedulableError("the node doesn't exist any more"), "it is gone"),
    ],
)
def test_a_node_that_cannot_answer_says_why(monkeypatch, raised, begins):
    def get(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(preflight, "_by_value", lambda *_: Task())
    monkeypatch.setattr(preflight.ray, "wait", lambda tasks, timeout: (tasks, []))
    monkeypatch.setattr(preflight.ray, "get", get)
    verdict = NodeCheck(NODE, question()).verdict()
    assert verdict is not None
    assert verdict.reason.startswith(begins)


def test_a_node_that_is_silent_is_left_out_at_its_deadline(monkeypatch):
    cancelled: list[Any] = []
    monkeypatch.setattr(preflight, "_by_value", lambda *_: Task())
    monkeypatch.setattr(preflight.ray, "wait", lambda tasks, timeout: ([], tasks))
    monkeypatch.setattr(preflight.ray, "cancel", lambda task, force: cancelled.append(task))
    check = NodeCheck(NODE, question())
    assert check.verdict() is None
    check._begun_s = time.monotonic() - preflight.DEADLINE_S
    verdict = check.verdict()
    assert verdict is not None
    assert verdict.reason == "it has not answered within 600 s"
    assert len(cancelled) == 1


def test_a_storage_that_the_driver_cannot_write_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"storage .*file cannot be written: "):
        question(storage=Storage(str(tmp_path / "file"))).write_probe()


def test_the_drivers_file_does_not_stay(tmp_path):
    asked = question(storage=Storage(str(tmp_path)))
    asked.write_probe()
    assert (tmp_path / "p").read_text() == "p"
    asked.remove_probe()
    assert list(tmp_path.iterdir()) == []


def test_without_a_storage_of_the_profile_the_home_is_asked_about(home):
    home.mkdir(exist_ok=True)
    assert Question.of_profile(Profile(), Home(home)).storage == Storage(str(home))
    assert Question.of_profile(Profile(storage_path="s3://lab/x"), Home(home)).storage == Storage("s3://lab/x")


def test_a_long_wait_is_said_once_and_names_some(monkeypatch):
    said: list[str] = []
    wait = preflight.Wait(said.append)
    wait.go_on([NODE])
    assert said == []
    monkeypatch.setattr(preflight, "WORD_AFTER_S", -1)
    wait.go_on([])
    assert said == []
    for _ in range(2):
        wait.go_on([Node(str(number), f"w{number}", f"10.0.0.{number}") for number in range(7)])
    assert len(said) == 1
    assert said[0].startswith("waiting for the answer of w0 (10.0.0.0), ")
    assert "w4 (10.0.0.4) and 2 more; " in said[0]
