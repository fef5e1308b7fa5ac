"""What the program says of itself: version, help, completion; nothing of it draws into a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from seisweep.cli import run


def test_the_version_is_that_of_the_package(home, capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"seisweep {version('seisweep')}\n"


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["data", "info", "-h"]])
def test_h_is_help(words, home, capsys):
    assert run(words) == 0
    short = capsys.readouterr().out
    assert run([*words[:-1], "--help"]) == 0
    assert capsys.readouterr().out == short != ""


def test_the_shell_completes_commands(tmp_path):
    """As the script that --install-completion writes asks for it."""
    environment = {**os.environ, "_SEISWEEP_COMPLETE": "complete_bash", "COMP_WORDS": "seisweep se", "COMP_CWORD": "1"}
    program = [sys.executable, "-m", "seisweep.cli"]
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    said = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["settings"]


@pytest.mark.parametrize("words", [["-h"], ["sweeps"], ["settings", "distillation"]])
def test_a_pipe_gets_no_control_characters(words, home, capsys):
    assert run(words) == 0
    said = capsys.readouterr()
    assert not [character for character in said.out + said.err if ord(character) < 32 and character not in "\n\t"]
