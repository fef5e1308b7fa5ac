"""The note of a run that changes what is prescribed: asked for in a terminal, once, before any work."""

from __future__ import annotations

from typing import Any

import pytest
from seisweep.cli import run
from seisweep.engine import launch
from seisweep.engine.outcome import Outcome

TOY = "toy_trainable:train"


@pytest.fixture
def started(home: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked and what was launched, in this order; nothing runs."""
    told: list[Any] = []

    def over(sweep: Any, *_: Any, name: str, note: str, **__: Any) -> Outcome:
        told.append(("launched", note))
        return Outcome(name, "finished", [], None, "0", "r", "", sweep.objectives)

    def ask(question: str) -> str:
        told.append(question)
        return "smaller is enough"

    monkeypatch.setattr(launch, "launch", over)
    monkeypatch.setattr("seisweep.commands.run.can_ask", lambda: True)
    monkeypatch.setattr("seisweep.commands.run.ask", ask)
    monkeypatch.setattr("toy_trainable.PRESCRIBED", ("size", "label"), raising=False)
    monkeypatch.setattr("toy_trainable.sweep", lambda: _sweep(), raising=False)
    return told


def _sweep() -> Any:
    from search_spaces.sweep import Sweep

    return Sweep(name="toy", trainable=TOY, samples=1)


@pytest.mark.parametrize("command", ["train toy_trainable:train", "run toy_trainable:sweep"])
def test_the_answer_is_the_note(started, command):
    run([*command.split(), "size=3", "label=mine"])
    question = (
        "prescribed: size (1) is 3 here, label (none) is mine here. Why? A line for the record, or Enter for none:"
    )
    assert started == [question, ("launched", "smaller is enough")]


@pytest.mark.parametrize("words", [["size=3", "--note", "I know"], ["x=0.1"], ["size=1"]])
def test_who_has_said_why_or_has_changed_nothing_is_not_asked(started, words):
    run(["train", TOY, *words])
    assert started == [("launched", "I know" if "--note" in words else "")]


def test_without_a_terminal_it_is_as_it_was(started, monkeypatch):
    monkeypatch.setattr("seisweep.commands.run.can_ask", lambda: False)
    run(["train", TOY, "size=3"])
    assert started == [("launched", "")]


def test_what_is_wrong_comes_before_the_question(started, capsys):
    assert run(["train", TOY, "size=many"]) == 2
    assert run(["run", "toy_trainable:sweep", "size=3", "--sampler", "best"]) == 2
    assert run(["run", "toy_trainable:sweep", "size=3", "--dry-run"]) == 0
    assert started == []
