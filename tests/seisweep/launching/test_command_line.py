"""The command line for another machine: the user's own but for profile and name."""

from __future__ import annotations

import pytest
from seisweep.launching import command_line


@pytest.mark.parametrize(
    ("typed", "there"),
    [
        ("run toy --profile lab x=1", "run toy x=1 --profile lab --name toy-1"),
        ("run toy --profile=./lab.toml --name mine --samples 3", "run toy --samples 3 --profile lab --name toy-1"),
        ("run toy --name=mine -- x=1", "run toy --profile lab --name toy-1 -- x=1"),
        ("train toy --note --quoted", "train toy --note --quoted --profile lab --name toy-1"),
    ],
)
def test_profile_and_name_are_replaced_and_nothing_else(typed, there):
    with command_line.typed(typed.split()):
        assert command_line.for_another_machine(profile="lab", name="toy-1") == there.split()
    assert command_line.words() == ()


def test_settings_are_those_that_were_typed():
    with command_line.typed(["run", "toy", "data.dataset=./here", "--note=x=y", "x=1,2"]):
        assert command_line.settings() == {"data.dataset": "./here", "x": "1,2"}
