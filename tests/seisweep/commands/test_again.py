"""A job that takes the place of one that has died goes on with what that one began, and does nothing twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from seisweep.cli import run
from seisweep.engine import launch
from seisweep.engine.outcome import Outcome
from seisweep.engine.parts import Parts
from seisweep.record.ledger import Ledger
from seisweep.screen import ending

CALLS: list[tuple[str, dict[str, Any]]] = []


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launching and resuming are only noted."""
    CALLS.clear()
    over = Outcome("toy-1", "finished", [], None, "0", "", "", {})

    def noted(what: str) -> Any:
        return lambda *words, **options: CALLS.append((what, options)) or over

    monkeypatch.setattr(launch, "launch", noted("launch"))
    monkeypatch.setattr(launch, "resume", noted("resume"))
    monkeypatch.setattr(ending, "show", lambda outcome: None)


@pytest.mark.parametrize(
    ("is_again", "has_begun", "done"),
    [("1", True, "resume"), ("1", False, "launch"), ("", True, "launch")],
)
def test_the_same_command_resumes_what_an_earlier_job_has_begun(is_again, has_begun, done, home, monkeypatch):
    monkeypatch.setenv("SEISWEEP_JOB_AGAIN", is_again)
    folder = home / "sweeps" / "toy-1"
    if has_begun:
        folder.mkdir(parents=True)
        (folder / "sweep.json").write_text("{}")
    assert run(["train", "toy_trainable:train", "--name", "toy-1"]) == 0
    assert [what for what, _ in CALLS] == [done]


def test_trials_are_added_once_however_often_the_job_for_it_is_submitted(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    parts: Any = SimpleNamespace(ledger=ledger, seconds_left=None, num_trials=4, plan=SimpleNamespace(extend=3))
    monkeypatch.setenv("SEISWEEP_JOB", "request-1")
    Parts.extend(parts)
    ledger.close()
    parts.ledger = Ledger(tmp_path / "ledger.jsonl")  # of the job that took its place
    Parts.extend(parts)
    assert parts.ledger.samples == 7
    parts.num_trials = 7
    monkeypatch.setenv("SEISWEEP_JOB", "request-2")
    Parts.extend(parts)
    monkeypatch.delenv("SEISWEEP_JOB")
    parts.num_trials = 10
    Parts.extend(parts)  # on this machine, as before
    assert parts.ledger.samples == 13
