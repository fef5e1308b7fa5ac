from __future__ import annotations

from pathlib import Path

import pytest
from seisweep.settings.paths import absolute, from_here


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("value", ["./records", "../records", "records/new", "~/records", "/data/records", "."])
def test_what_looks_like_a_path_becomes_absolute_whether_it_exists_or_not(value):
    assert absolute("data.dataset", value) == str(Path(value).expanduser().resolve())


def test_a_name_is_a_path_only_where_something_of_that_name_lies_here(work):
    assert absolute("data.dataset", "ETHZ") == "ETHZ"
    (work / "ETHZ").mkdir()
    assert absolute("data.dataset", "ETHZ") == str(work / "ETHZ")


def test_a_teacher_is_found_by_the_stem_of_its_pair(work):
    assert absolute("teacher.weights", "stead") == "stead"
    (work / "stead.json.v1").write_text("{}")
    assert absolute("teacher.weights", "stead") == str(work / "stead")


@pytest.mark.parametrize(
    ("key", "value"),
    [("training.monitor", "dev/f1"), ("model.pretrained", "runs:/abc/files"), ("loss.alpha", 0.5), ("x", None)],
)
def test_what_is_no_path_stays(key, value):
    assert absolute(key, value) == value


def test_lists_of_paths():
    assert absolute("data.dataset", ["./a", "ETHZ"]) == [str(Path("a").resolve()), "ETHZ"]


def test_a_path_is_shown_as_from_here(work):
    assert from_here(work / "a" / "b") == "./a/b"
    assert from_here(work.parent / "c") == str(work.parent / "c")


def test_weights_of_a_trial_stay_unless_there_is_such_a_path(work):
    assert absolute("model.pretrained", "pretraining-1/3") == "pretraining-1/3"
    assert absolute("model.pretrained", "folder/best.ckpt") == str(work / "folder" / "best.ckpt")
    (work / "pretraining-1" / "3").mkdir(parents=True)
    assert absolute("model.pretrained", "pretraining-1/3") == str(work / "pretraining-1" / "3")
