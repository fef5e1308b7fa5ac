"""A line that others run again: what a shell makes of it are the words that were typed, wherever the files are."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from seisweep.report.again import replaceable
from seisweep.report.question import command_of
from seisweep.requested.sweep import narrow
from seisweep.settings.overrides import parse_overrides

from search_spaces.named import named_sweep
from search_spaces.sweep import Range, Sweep, single_run

PLACES = ["data.dataset=/data/my records", "teacher.weights=/data/it's $HOME/`teacher`"]
SEVERAL = ["data.dataset=[/data/a,/data/a2]", "teacher.weights=stead,/data/a,/data/b"]


def said_by_bash(lines: list[str]) -> list[str]:
    """The words that the last line gives to its program."""
    shown = ['show() { printf "%s\\0" "$@"; }', *lines[:-1], f"show {lines[-1]}"]
    found = subprocess.run(["bash", "-c", "\n".join(shown)], capture_output=True, text=True, check=True)
    return found.stdout.split("\0")[:-1]


def launched(*words: str) -> tuple[str, Sweep]:
    sweep = narrow(named_sweep("distillation"), parse_overrides(words), {})
    command = command_of(sweep)
    assert command is not None
    return command, sweep


@pytest.mark.parametrize("words", [PLACES, SEVERAL, [*PLACES, "loss.alpha=0.2..0.5"]])
def test_a_shell_has_the_same_words(words):
    command, sweep = launched(*words)
    lines = replaceable(command, sweep)
    assert len(lines) > 1
    assert said_by_bash(lines) == shlex.split(command)


def test_every_path_stands_once_and_alone():
    lines = replaceable(*launched(*PLACES))
    assert lines[0] == "DATA_DATASET='/data/my records'"
    assert lines[1].startswith("TEACHER_WEIGHTS=")
    assert "/data" not in lines[2]
    assert '"data.dataset=${DATA_DATASET}"' in lines[2]


def test_others_replace_them():
    lines = replaceable(*launched(*SEVERAL))
    names = [line.partition("=")[0] for line in lines[:-1]]
    assert names == ["DATA_DATASET_1", "DATA_DATASET_2", "TEACHER_WEIGHTS_2"]
    theirs = [*(f"{name}=/mine/{name.lower()}" for name in names), lines[-1]]
    assert 'data.dataset=["/mine/data_dataset_1", "/mine/data_dataset_2"]' in said_by_bash(theirs)
    assert "teacher.weights=stead,/mine/data_dataset_1,/mine/teacher_weights_2" in said_by_bash(theirs)


def test_names_of_data_sets_and_of_weights_stay():
    command, sweep = launched("data.dataset=ETHZ", "teacher.weights=stead")
    assert replaceable(command, sweep) == [command]


def test_a_single_training_too():
    sweep = single_run("picking", {"data.dataset": "/data/a"}, named_sweep("picking").objectives)
    command = command_of(sweep)
    assert command is not None
    line = 'seisweep train picking "data.dataset=${DATA_DATASET}"'
    assert replaceable(command, sweep) == ["DATA_DATASET=/data/a", line]


def test_a_range_that_narrowed_the_choices_of_an_earlier_space_is_those_inside_it():
    begun = named_sweep("distillation").changed(
        space="search_spaces.distillation:student_space",
        base={"data.dataset": "x"},
        vary={"student.base_channels": Range(low=8, high=16)},
    )
    assert command_of(begun) == (
        "seisweep run distillation training.learning_rate=0.0001..0.003 data.dataset=x student.base_channels=8,12,16"
    )
