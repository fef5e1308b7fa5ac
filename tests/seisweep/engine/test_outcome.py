"""What a sweep comes to, as an exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from seisweep import cli
from seisweep.engine.outcome import Outcome, TrialRow


def outcome(state: str = "finished", lacks: str = "", is_grid: bool = False, *trials: str) -> Outcome:
    rows = [TrialRow(number, str(number), trial) for number, trial in enumerate(trials)]
    return Outcome(
        "toy-1", state, rows, None, "", "", "sqlite:///none", {"dev/f1": "max"}, is_grid=is_grid, lacks_in_mlflow=lacks
    )


@pytest.mark.parametrize(
    ("came_to", "code"),
    [
        (outcome("finished", "", False, "done", "failed"), 0),
        (outcome("finished", "", True, "done", "stopped"), 0),
        (outcome("finished", "", True, "done", "failed"), 1),
        (outcome("interrupted"), 1),
        (outcome("failed", "", False, "failed"), 1),
        (outcome("finished", "2 trials", False, "done"), 3),
        (outcome("interrupted", "2 trials"), 1),
        (outcome("finished", "2 trials", True, "failed"), 1),
        (replace(outcome("finished", "", True, "done"), nodes_left_out=[("w1", "no data")]), 0),
    ],
)
def test_exit_codes(came_to, code):
    assert came_to.exit_code == code


@pytest.mark.parametrize("command", ["run", "train", "resume", "confirm"])
def test_a_command_whose_record_lacks_something_ends_with_3(home, monkeypatch, capsys, command):
    def as_command(*given: object, **named: object) -> Outcome:
        return outcome("finished", "1 trial", False, "done")

    monkeypatch.setattr(cli, "app", as_command)
    assert cli.run([command, "toy-1"]) == 3


def test_a_demo_whose_record_lacks_something_ends_with_3(home, monkeypatch, capsys):
    from seisweep.demos import pickers

    monkeypatch.setattr(pickers, "play", lambda command, home, tiny: command("resume", "toy-1"))
    monkeypatch.setattr("seisweep.launching.start.go_on", lambda *a, **k: outcome("finished", "1 trial", False, "done"))
    assert cli.run(["demo", "--tiny"]) == 3
