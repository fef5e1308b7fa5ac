"""The trainable of docs/tutorials/your-own-trainable.md, as it stands there: from its settings to a sweep of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from as_a_user import seisweep
from documented import REPOSITORY, blocks, words_of
from seisweep.results import load
from seisweep.settings.home import Home

from trainables.run import LocalRun

PAGE = REPOSITORY / "docs/tutorials/your-own-trainable.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's module."""
    (code,) = [block.text for block in blocks(PAGE) if block.language == "python"]
    (tmp_path / "my_module.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    yield tmp_path
    sys.modules.pop("my_module", None)


def test_it_learns_and_goes_on_where_it_was(folder):
    import my_module

    once = LocalRun(folder / "once")
    my_module.train(my_module.PolarityConfig(epochs=8, learning_rate=0.05), once)
    assert once.reports[-1]["dev/f1"] > 0.9
    for epochs in (3, 8):
        twice = LocalRun(folder / "twice")
        my_module.train(my_module.PolarityConfig(epochs=epochs, learning_rate=0.05), twice)
    assert [report["epoch"] for report in twice.reports] == [4, 5, 6, 7, 8]
    assert twice.reports[-1] == once.reports[-1]


@pytest.mark.integration
def test_the_commands_of_the_page_run_as_they_stand_there(folder):
    (shown,) = [block for block in blocks(PAGE) if "test_your_own_trainable" in block.mark]
    for command in shown.commands:
        done = seisweep(folder, *words_of(command)[1:])
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    trials = load("polarity-1", Home(folder / "home").mlflow_uri).trials
    assert len(trials) == 4
    assert set(trials["state"]) <= {"done", "stopped"}
    assert json.loads(seisweep(folder, "results", "polarity-1", "--format", "json").stdout)
