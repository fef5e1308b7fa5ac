"""`seisweep settings`: what can be set, readable at 80 columns, whole in a pipe."""

from __future__ import annotations

import json

import pytest
from seisweep.cli import run


def lines_of(capsys, *words: str) -> list[str]:
    assert run(["settings", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_setting_in_a_pipe_has_a_line_for_its_meaning(home, capsys):
    assert lines_of(capsys, "distillation", "loss.alpha") == [
        "loss: How the loss weighs the teacher against the labels.",
        "",
        "loss.alpha = 0.5",
        "    Share of the teacher's loss; the loss on the labels has the share 1 - alpha.",
        "    takes a number, at least 0, at most 1; searched: 0 .. 1",
        "",
    ]
    assert not home.exists()


@pytest.mark.parametrize("columns", [40, 80, 110])
def test_no_line_is_wider_than_the_terminal(columns, home, capsys, monkeypatch):
    monkeypatch.setattr("seisweep.commands.settings.columns_of", lambda stream: columns)
    lines = lines_of(capsys, "distillation", "data.")
    assert max(map(len, lines)) <= columns
    assert "data.max_time_shift_s = 0 s" in lines


def test_programs_get_rows(home, capsys):
    assert run(["settings", "distillation", "loss.", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in rows] == ["loss.alpha", "loss.temperature"]
    assert rows[1]["searched"] == "1 .. 5, where it acts"


def test_an_unknown_key_is_one_line_and_exit_code_2(home, capsys):
    assert run(["settings", "distillation", "lerning_rate"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "seisweep: unknown key lerning_rate; did you mean training.learning_rate?\n"
