"""A home knows where it has lain, and where what lay there is now."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow.tracking import MlflowClient
from seisweep import say
from seisweep.private.mlflow import PLACES
from seisweep.settings.home import Home
from seisweep.settings.places import FILE, Places
from seisweep.settings.which_store import (
    home_of_store,
    kept_store,
    own_store,
    places_of_sweep,
    ready_to_write,
)

MOVED = Places((("/was/it", "/now"),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/was/it", "/now"),
        ("/was/it/data/x.csv", "/now/data/x.csv"),
        ("['/was/it/a', '/was/it/b']", "['/now/a', '/now/b']"),
        ("/was/items/a", "/was/items/a"),
        ("/was/it.old/a", "/was/it.old/a"),
        ("/mnt/was/it/a", "/mnt/was/it/a"),
        ("stead", "stead"),
    ],
)
def test_what_is_said_of_a_moved_place_is_read_where_it_is_now(text, expected):
    assert MOVED.here(text) == expected
    assert MOVED.everywhere({"a": [text, 1, None]}) == {"a": [expected, 1, None]}
    assert Places().here(text) == text


def test_addresses_of_files_are_read_so_and_no_others():
    moved = Places((("/was here/50%", "/now there"),))
    assert moved.uri_here("file:///was%20here/50%25/artifacts/1") == "file:///now%20there/artifacts/1"
    for uri in ("s3://was here/50%/a", "mlflow-artifacts:/1/a", "file:///other/a"):
        assert moved.uri_here(uri) == uri


def moved(home: Home, to: Path) -> Home:
    home.root.rename(to)
    return Home(to)


def with_run(home: Home) -> str:
    """A run of an experiment with one file."""
    client = MlflowClient(home.mlflow_uri)
    found = client.get_experiment_by_name("toy")
    experiment = found.experiment_id if found else client.create_experiment("toy", home.artifacts_dir.as_uri())
    run = client.create_run(experiment)
    client.log_dict(run.info.run_id, {"a": 1}, "a.json")
    return run.info.run_id


def places_in(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    found = {
        place
        for table, columns in PLACES.items()
        for column in columns
        for (place,) in connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
    }
    connection.close()
    return found


def test_the_record_of_a_moved_home_says_where_it_lies_before_anything_is_written(
    engine_home, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(say, "_said", set())
    run_id = with_run(engine_home)
    first, there = engine_home.root, tmp_path / "moved here"
    home = moved(engine_home, there)
    assert home.places == Places(tuple((str(place), str(there)) for place in remembered(there)))
    assert str(first) in dict(home.places.moves)
    ready_to_write(own_store(home), home)
    assert capsys.readouterr().err == f"the home was moved from {first} to {there}: its record has the new paths\n"
    assert all(place.startswith(there.as_uri()) for place in places_in(home.database))
    run = MlflowClient(home.mlflow_uri).get_run(run_id)
    assert run.info.artifact_uri == (home.artifacts_dir / run_id / "artifacts").as_uri()
    assert remembered(there)[-2:] == [str(first), str(there)]
    ready_to_write(own_store(home), home)
    assert capsys.readouterr().err == "", "said once: nothing has moved since"
    back = moved(home, first)
    assert dict(Home(back.root).places.moves)[str(there)] == str(first), "and back"


def remembered(root: Path) -> list[str]:
    return json.loads((root / FILE).read_text())["lain_at"]


def test_an_experiment_that_a_user_has_put_elsewhere_stays_there(engine_home, tmp_path):
    """Also where that is above the home."""
    elsewhere = [(tmp_path / folder / "artifacts").as_uri() for folder in ("own", ".")]
    for number, place in enumerate(elsewhere):
        MlflowClient(engine_home.mlflow_uri).create_experiment(f"own {number}", place)
    home = moved(engine_home, tmp_path / "moved")
    home.settle()
    others = {place for place in places_in(home.database) if not place.startswith(home.artifacts_dir.as_uri())}
    assert others == set(elsewhere)


def test_a_copy_takes_what_an_older_version_wrote_into_the_first_place(engine_home, tmp_path):
    """It wrote on under the absolute places of a home that had been moved."""
    run_id = with_run(engine_home)
    copy = tmp_path / "copy"
    shutil.copytree(engine_home.root, copy)
    shutil.rmtree(copy / "artifacts" / run_id)
    Home(copy).settle()
    assert (copy / "artifacts" / run_id / "artifacts" / "a.json").exists()
    assert (engine_home.artifacts_dir / run_id / "artifacts" / "a.json").exists(), "nothing is taken away"


def test_a_home_in_which_a_sweep_runs_under_another_path_is_left_alone(engine_home, tmp_path):
    first = engine_home.root
    engine_home.sweep_dir("toy-1").mkdir()
    home = moved(engine_home, tmp_path / "elsewhere")
    before = places_in(home.database)
    with FileLock(home.sweep_dir("toy-1") / "driver.lock"), pytest.raises(ValueError, match=f"now, under {first}: "):
        home.settle()
    assert places_in(home.database) == before
    assert home.settle() == [first]


def describe(home: Home, **facts: object) -> None:
    home.sweep_dir("toy-1").mkdir(parents=True, exist_ok=True)
    described = {"profile": {"name": "local", "tracking_uri": None}, **facts}
    home.sweep_file("toy-1").write_text(json.dumps(described))


def test_a_sweep_looks_only_where_its_home_lay_since_it_began(home):
    here = Home(home)
    here.root.mkdir()
    (here.root / FILE).write_text(json.dumps({"lain_at": ["/a", "/b", str(home)]}))
    expected = {
        (): ["/a", "/b"],  # an older one
        ("/a",): ["/a", "/b"],
        ("/b",): ["/b"],
        (str(home),): [],
        ("/x", "/y"): ["/x", "/y", "/a", "/b"],  # out of an archive
    }
    for lain_at, lain in expected.items():
        describe(here, **({"lain_at": list(lain_at)} if lain_at else {}))
        assert places_of_sweep(here, "toy-1").moves == tuple((was, str(home)) for was in lain)
    describe(here, lain_at=[str(home)], places={"/models/a": "brought/0/a"})
    assert places_of_sweep(here, "toy-1").here("/models/a") == str(here.sweep_dir("toy-1") / "brought/0/a")


def test_a_store_that_a_profile_names_by_its_path_is_the_homes_own_after_a_move(home):
    here = Home(home)
    here.root.mkdir()
    (here.root / FILE).write_text(json.dumps({"lain_at": ["/was", str(home)]}))
    describe(here, store="sqlite:////was/mlflow.db")
    assert kept_store(here, "toy-1").is_own
    describe(here, store="sqlite:////other/mlflow.db")
    assert kept_store(here, "toy-1").uri == "sqlite:////other/mlflow.db"


def test_which_stores_are_a_homes_own(engine_home, tmp_path):
    assert home_of_store(engine_home.mlflow_uri) == engine_home
    shutil.copy(engine_home.database, tmp_path / "mlflow.db")
    for uri in (f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{engine_home.root}/other.db", "http://mlflow:5000"):
        assert home_of_store(uri) is None


def test_a_broken_memory_of_places_is_named(home):
    home.mkdir()
    (home / FILE).write_text("{}")
    with pytest.raises(ValueError, match=r"home.json cannot be read: 'lain_at'"):
        _ = Home(home).places
