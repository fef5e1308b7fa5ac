"""A home that lies elsewhere is read as it was: tables, files, report. What was left behind is named."""

from __future__ import annotations

import shutil

import pytest
from seisweep import charts, results
from seisweep.cli import run
from seisweep.record.mlflow_store import fetched
from seisweep.report import render
from seisweep.report.question import asked
from seisweep.settings.home import Home


@pytest.fixture
def moved(recorded: Home, tmp_path, monkeypatch) -> Home:
    """A copy; what it was copied from is not looked at, so that it may as well be gone."""
    there = Home(tmp_path / "moved here")
    shutil.copytree(recorded.root, there.root)
    monkeypatch.setenv("SEISWEEP_HOME", str(there.root))
    return there


def test_files_are_those_of_the_home_that_is_read(recorded, moved):
    for loaded in (results.load_from(moved, "many-1"), results.load("many-1", moved.mlflow_uri)):
        assert loaded.artifacts(0).is_relative_to(moved.artifacts_dir)
        assert loaded.files.is_relative_to(moved.artifacts_dir)
        assert loaded.config(0)["number"] == 0
        assert loaded.missing_files() == ""
    run_id = results.load_from(moved, "many-1").run(0).info.run_id
    assert fetched(f"runs:/{run_id}/", moved.mlflow_uri).is_relative_to(moved.artifacts_dir)


def test_the_page_of_a_sweep_has_the_same_figures(recorded, moved):
    here, there = (render(results.load("many-1", home.mlflow_uri)) for home in (recorded, moved))
    assert there.count("<figure") == here.count("<figure") > 4
    assert there.count("data:image/png") == here.count("data:image/png")
    again = [asked(results.load("shots-1", home.mlflow_uri)).again for home in (recorded, moved)]
    assert again[0] == again[1] != [], "the lines that run it again"


def test_what_was_left_behind_is_named(moved, tmp_path, capsys):
    shutil.rmtree(moved.artifacts_dir)
    loaded = results.load_from(moved, "many-1")
    with pytest.raises(
        ValueError, match=r"^the files of trial 2 of many-1 are not there: no folder .*bring the folder"
    ):
        loaded.artifacts(2)
    with pytest.raises(ValueError, match=r"^the files of trial \d+ of many-1.* are not there: no folder "):
        charts.residuals(loaded)
    assert run(["report", "many-1", "--output", str(tmp_path / "page.html")]) == 0
    assert "not on the page: the files of trial 0, trial 2, trial 3" in capsys.readouterr().err
    assert "Not on this page: the files of trial 0, trial 2" in (tmp_path / "page.html").read_text()
    assert run(["plot", "many-1", "residuals"]) == 2
    assert "are not there: no folder" in capsys.readouterr().err
