from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient
from seisweep.results.open_store import open_store
from seisweep.settings.home import Home


def test_the_home_comes_from_the_environment_and_is_absolute(home, monkeypatch):
    assert Home.find().root == home
    monkeypatch.delenv("SEISWEEP_HOME")
    assert Home.find().root == Path.cwd() / "seisweep-home"


def test_looking_at_a_home_creates_nothing(home):
    found = Home.find()
    found.check()
    assert found.mlflow_uri == f"sqlite:///{home}/mlflow.db"
    assert found.sweep_names == []
    assert not home.exists()


def test_a_home_below_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; choose another folder in SEISWEEP_HOME"):
        Home(tmp_path / "file" / "home").prepare()


def test_a_home_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ValueError, match="cannot be written: Permission denied"):
        Home(tmp_path / "home").prepare()


def test_a_full_disk_is_one_clear_error_and_nothing_is_created(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(ValueError, match=r"is full: 3 MB free, 500 MB are needed"):
        Home(tmp_path / "home").prepare()
    assert not (tmp_path / "home").exists()


def _prepare_store(root: Path) -> str:
    return Home(root).prepare_store()


@pytest.mark.integration
def test_processes_that_create_the_store_together_get_one_whole_store(tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        uris = set(pool.map(_prepare_store, [tmp_path / "home"] * 2))
    assert uris == {f"sqlite:///{tmp_path}/home/mlflow.db"}
    connection = sqlite3.connect(tmp_path / "home" / "mlflow.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    connection.close()
    assert not list((tmp_path / "home").glob("*.arriving*"))


@pytest.mark.parametrize("name", ["a%20b", "100%", "what?", "a%3Fb #1"])
def test_a_home_may_have_any_name(name, tmp_path):
    home = Home(tmp_path / name)
    uri = home.prepare_store()
    assert home.database.is_file()
    client = MlflowClient(tracking_uri=uri)
    run = client.create_run(client.create_experiment("one", home.artifacts_dir.as_uri()))
    client.log_text(run.info.run_id, "text", "note.txt")
    assert [file.read_text() for file in home.artifacts_dir.rglob("note.txt")] == ["text"]
    assert open_store(uri).sweeps() == []
    assert [folder.name for folder in tmp_path.iterdir()] == [name], "nothing beside it"


@pytest.mark.parametrize("name", ["/abs/path", "../other", "a/b", "", ".hidden", "x" * 256, "a b"])
def test_what_is_no_name_leads_nowhere(name, tmp_path):
    with pytest.raises(ValueError, match="cannot be the name of a sweep"):
        Home(tmp_path).sweep_file(name)
    assert Home(tmp_path).sweep_dir("x" * 215), "older ones may be longer than a new one"


def test_folders_with_other_names_are_no_sweeps(tmp_path):
    for name in ("toy-1", ".toy-2.arriving", "toy-1 (copy)"):
        (tmp_path / "sweeps" / name).mkdir(parents=True)
        (tmp_path / "sweeps" / name / "sweep.json").write_text("{}")
    assert Home(tmp_path).sweep_names == ["toy-1"]


@pytest.mark.parametrize(
    "place",
    [
        "/tmp/ray/session_2026-11-29_07-00-00_123456_789/runtime_resources/working_dir_files/_ray_pkg_1a/seisweep-home",
        "/scratch/me/ray/session_latest/home",
        "/tmp/ray",
    ],
)
def test_a_home_that_ray_would_remove_is_refused(place):
    with pytest.raises(ValueError, match=r"lies in Ray's temporary folders.*SEISWEEP_HOME"):
        Home(Path(place)).check()


def test_a_home_that_only_sounds_like_rays_is_none_of_them(tmp_path):
    Home(tmp_path / "ray" / "session_notes").check()
