"""`seisweep demo adapt` on very little, in a process of its own, as a user would."""

from __future__ import annotations

import re

import pytest
from as_a_user import seisweep

pytestmark = pytest.mark.integration


def test_the_demo_of_adaptation_ends_with_agreement_before_and_after_and_an_int8_file(tmp_path):
    done = seisweep(tmp_path, "demo", "adapt", "--tiny")
    assert done.returncode == 0, done.stderr
    for noise in ("Traceback", "Warning", "WARNING", "ERROR", "INFO", "deprecated"):
        assert noise not in done.stdout + done.stderr, noise
    commands = re.findall(r"^\$ seisweep (.*)$", done.stderr, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["data", "data", "train", "train", "run"]
    last = done.stdout[done.stdout.rindex("student") :]
    assert "agreement/f1 95 %" in last
    assert re.search(r"^before +demo-1-before ", last, re.MULTILINE)
    assert re.search(r"^after +demo-1-adaptation ", last, re.MULTILINE)
    assert "model_int8" in last
