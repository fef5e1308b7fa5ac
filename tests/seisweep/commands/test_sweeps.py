"""`seisweep sweeps NAME`: a sweep of the record in full, else what a name would launch."""

from __future__ import annotations

import csv
import io
import json

import pytest
from seisweep import results
from seisweep.cli import run
from seisweep.commands.one_sweep import of_record
from seisweep.record import tags
from seisweep.settings.home import Home


@pytest.fixture
def home(recorded: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SEISWEEP_HOME", str(recorded.root))
    return recorded


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run(["sweeps", *words, "--format", "json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    return facts


def test_one_of_the_record(home, capsys):
    facts = shown(capsys, "many-1")
    loaded = results.load("many-1", home.mlflow_uri)
    assert facts["what it is"] == f"distillation: {loaded.definition.description}"
    assert facts["state"] == "finished"
    assert facts["trials"] == "12: 11 done, 1 failed"
    assert facts["best"] == f"trial {loaded.best()}: dev/f1 0.908"
    assert facts["searched"]["student.pooling"] == "2 or 4"
    assert facts["folder"] == str(home.sweep_dir("many-1"))
    assert facts["files"] == {
        "of the sweep:": str(loaded.files),
        f"of trial {loaded.best()}, the best:": str(loaded.artifacts(loaded.best())),
    }
    assert facts["recorded in"] == home.mlflow_uri
    assert facts["run it again"] == ["not with a single command: it was launched by its own code"], "its objectives"
    again = ["seisweep run foreshock-fewshot data.few_shot_fraction=0.05,0.2,1.0 --seed 0,1"]
    assert shown(capsys, "shots-1")["run it again"] == again
    loaded.parent.data.tags.update({tags.GIT_COMMIT: "c0ffee", tags.GIT_DIRTY: "true"})
    assert of_record(loaded, "finished", home, None)["code"] == "c0ffee, with changes that were not committed"


def test_under_each_other_and_without_what_is_empty(home, capsys):
    assert run(["sweeps", "shots-1"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["name", "shots-1"]
    assert any(line.split()[:2] == ["trials", "12:"] for line in lines)
    assert not any(line.split()[0] in ("note", "job") for line in lines)
    assert printed.err == ""


def test_as_a_table_for_a_spreadsheet(home, capsys):
    assert run(["sweeps", "many-1", "--format", "csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["name"] == "many-1"
    assert json.loads(row["searched"])["student.pooling"] == "2 or 4"


def test_a_named_one_says_what_it_wants_and_which_were_launched(home, capsys):
    facts = shown(capsys, "distillation")
    assert facts["run it"] == ["seisweep run distillation data.dataset=..."]
    assert facts["searched"]["student.base_channels"] == "4 .. 16"
    assert facts["launched"] == "none-1, many-1"


def test_one_of_the_users_own(home, capsys, monkeypatch):
    from search_spaces.named import named_sweep

    monkeypatch.setattr("toy_trainable.sweep", lambda: named_sweep("picking"), raising=False)
    assert shown(capsys, "toy_trainable:sweep")["run it"] == ["seisweep run toy_trainable:sweep data.dataset=..."]


def test_without_a_home_named_ones_are_shown_and_nothing_is_made(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(tmp_path / "none"))
    assert shown(capsys, "picking")["name"] == "picking"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("many-2", "no sweep named many-2; did you mean many-1"),
        ("distilation", "no sweep named distilation; did you mean distillation"),
        ("a/b", "cannot be the name of a sweep"),
        ("no.such:sweep", "cannot be loaded"),
    ],
)
def test_a_name_of_nothing_is_one_line(home, name, part, capsys):
    assert run(["sweeps", name]) == 2
    printed = capsys.readouterr()
    assert part in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
