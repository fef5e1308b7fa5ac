"""Whose turn it is to be written into MLflow, and that nobody else waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from seisweep.record import writing_line
from seisweep.record.mlflow_answers import NoAnswerError, RefusedError, ask
from seisweep.record.trial_run import GoneError
from seisweep.record.unsaid import Step, Unsaid
from seisweep.record.writing_line import WritingLine


class Client:
    """What a line asks MLflow by itself."""

    tracking_uri = "http://server"

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], str] = {}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.tags[run_id, key] = value


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> WritingLine:
    monkeypatch.setattr(writing_line, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(writing_line, "QUIET_S", 0.0)
    made = WritingLine(Client())
    made._pause_s = 0.0
    return made


def failing(error: Exception) -> Callable[[], None]:
    def say() -> None:
        raise error

    return say


def test_steps_come_in_their_order_and_the_state_comes_last(line):
    said: list[str] = []
    steps = {step: (lambda name=step.words: said.append(name)) for step in (Step.CLOSE, Step.POINTS, Step.OPEN)}
    line.say(Unsaid("trial 0"), steps)
    assert said == ["open", "points", "close"]


def test_a_run_without_an_answer_keeps_no_other_waiting(line):
    said: list[str] = []
    stuck, other = Unsaid("trial 0"), Unsaid("trial 1")
    line.say(stuck, {Step.FILES: failing(NoAnswerError("its store is away"))})
    line.say(other, {Step.FILES: lambda: said.append("trial 1")})
    assert said == ["trial 1"]
    assert list(stuck.due) == [Step.FILES]
    assert not other.due
    stuck.due[Step.FILES] = lambda: said.append("trial 0")
    line.say(other, {Step.FACTS: lambda: said.append("trial 1 again")})
    assert said == ["trial 1", "trial 0", "trial 1 again"]


def test_what_is_refused_is_left_out_and_the_rest_goes_on(line):
    said: list[str] = []
    unsaid = Unsaid("trial 0", run_id="run")
    line.say(unsaid, {Step.PARAMS: failing(RefusedError("too odd")), Step.CLOSE: lambda: said.append("closed")})
    assert said == ["closed"]
    assert line.client.tags["run", "not_recorded"] == "params: too odd"
    assert line.trouble == ""


def test_a_run_that_is_gone_is_given_up(line):
    unsaid = Unsaid("trial 0", run_id="run")
    line.say(unsaid, {Step.POINTS: failing(GoneError("deleted")), Step.CLOSE: failing(AssertionError("not reached"))})
    assert not unsaid.due
    line.say(unsaid, {Step.FACTS: failing(AssertionError("not said"))})
    assert not unsaid.due
    assert list(unsaid.left_out) == ["all that was not there yet: deleted"]


def test_nobody_waits_while_mlflow_thinks_and_news_of_a_kind_are_one(line):
    thinking, go_on, said = threading.Event(), threading.Event(), []
    unsaid = Unsaid("trial 0")

    def slow() -> None:
        thinking.set()
        assert go_on.wait(60)

    with line.in_background():
        line.say(unsaid, {Step.OPEN: slow})
        assert thinking.wait(60)
        for number in range(1000):
            line.say(unsaid, {Step.CONFIG: lambda number=number: said.append(number)})
        assert not said
        go_on.set()
        line.wait(lambda: "something" if unsaid.due else "", 60, lambda words: None, "later")
    assert said == [999]


def test_what_becomes_due_while_it_is_said_is_said_again(line):
    said: list[str] = []
    unsaid = Unsaid("trial 0")

    def first() -> None:
        said.append("first")
        line.say(unsaid, {Step.CONFIG: lambda: said.append("second")})

    with line.in_background():
        line.say(unsaid, {Step.CONFIG: first})
        line.wait(lambda: "something" if unsaid.due else "", 60, lambda words: None, "later")
    assert said == ["first", "second"]


def test_who_has_news_all_the_time_keeps_no_other_waiting(line):
    said: list[str] = []
    busy, other = Unsaid("trial 0"), Unsaid("trial 1")

    def again() -> None:
        said.append("busy")
        if len(said) < 10:
            line.say(busy, {Step.CONFIG: lambda: again()})

    with line.in_background():
        with line.changed:
            line.say(busy, {Step.CONFIG: again})
            line.say(other, {Step.CONFIG: lambda: said.append("other")})
        line.wait(lambda: "something" if busy.due or other.due else "", 60, lambda words: None, "later")
    assert said.index("other") == 1
    assert len(said) == 10


def test_the_end_waits_until_its_deadline_and_says_so_once(line):
    never, words = threading.Event(), []
    unsaid = Unsaid("trial 0")
    with line.in_background():
        line.say(unsaid, {Step.CLOSE: lambda: never.wait(60) and None})
        line.wait(lambda: "1 trial", 0.5, words.append, "`seisweep resume toy-1`")
    never.set()
    assert words == [
        "MLflow at http://server lacks 1 trial: waiting up to 0.5 s for it to accept more (Ctrl-C: do not wait; "
        "`seisweep resume toy-1`)"
    ]


def test_the_end_waits_while_mlflow_answers_though_nothing_is_done_yet(line):
    unsaid = Unsaid("trial 0")

    def asks_for_much() -> None:
        for _ in range(8):
            ask(lambda: time.sleep(0.25))

    with line.in_background():
        line.say(unsaid, {Step.OPEN: asks_for_much})
        line.wait(lambda: "1 trial" if unsaid.due else "", 1.0, lambda words: None, "later")
    assert not unsaid.due


def test_who_answers_and_takes_nothing_is_not_waited_for_for_ever(line):
    def answers_and_fails() -> None:
        ask(lambda: None)
        raise NoAnswerError("the disk is full")

    line.last_of_all(unsaid := Unsaid("trial 0"))
    with line.in_background():
        line.say(unsaid, {Step.OPEN: answers_and_fails})
        line.wait(lambda: "1 trial", 0.05, lambda words: None, "later")
    assert unsaid.due


def test_nothing_is_written_after_the_wait(line):
    said: list[int] = []
    unsaid = Unsaid("trial 0")
    with line.in_background():
        line.wait(lambda: "", 60, lambda words: None, "later")
        line.say(unsaid, {Step.CLOSE: lambda: said.append(1)})
        thread = line._thread
        assert thread is not None
        thread.join(60)
    assert not said
    assert unsaid.due
