"""Which store: one answer for every command, whatever profile and environment say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from seisweep import say
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import (
    OWN,
    VARIABLE,
    Store,
    check_that_it_is_there,
    given_store,
    kept_store,
    own_store,
    store_by_default,
    store_of_sweep,
)

SERVER, OTHER = "http://mlflow:5000", "http://elsewhere:5000"
LAB = Profile(name="lab", tracking_uri=OTHER)


@pytest.fixture
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(say, "_said", set())
    return Home(home)


def describe(home: Home, name: str, **facts: object) -> None:
    home.sweep_dir(name).mkdir(parents=True)
    described = {"profile": {"name": "local", "tracking_uri": None}, **facts}
    home.sweep_file(name).write_text(json.dumps(described))


def test_a_new_sweep_goes_by_the_profile_then_the_environment_then_the_home(own_home, monkeypatch):
    assert store_by_default(own_home) == own_store(own_home)
    assert own_store(own_home).is_own
    assert own_store(own_home).kept_as == OWN
    monkeypatch.setenv(VARIABLE, SERVER)
    assert store_by_default(own_home, Profile()) == Store(SERVER, VARIABLE)
    assert store_by_default(own_home, LAB) == Store(OTHER, "profile lab")
    assert store_by_default(own_home, LAB).kept_as == OTHER
    monkeypatch.setenv(VARIABLE, own_home.mlflow_uri)
    assert store_by_default(own_home).is_own, "a notebook that names the home's own store"
    assert not own_home.root.exists(), "asking creates nothing"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"store": OWN}, OWN),
        ({"store": SERVER}, SERVER),
        ({}, OWN),
        ({"profile": {"name": "lab", "tracking_uri": SERVER}}, SERVER),
        ({"profile": {"name": "lab", "tracking_uri": SERVER}, "store": OWN}, OWN),
    ],
)
def test_a_sweep_stays_in_the_store_that_it_began_in(own_home, monkeypatch, capsys, facts, expected):
    """The third and fourth are older ones, whose description names no store."""
    describe(own_home, "toy-1", **facts)
    uri = own_home.mlflow_uri if expected == OWN else expected
    assert store_of_sweep(own_home, "toy-1").uri == kept_store(own_home, "toy-1").uri == uri
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(VARIABLE, "http://another:5000")
    for _ in range(2):
        assert store_of_sweep(own_home, "toy-1").uri == uri
    aside = f"{VARIABLE} (http://another:5000) is ignored"
    assert capsys.readouterr().err == f"toy-1 is in the store that it began in, {uri}; {aside}\n"
    assert store_of_sweep(own_home, "toy-1", LAB).uri == uri
    assert store_of_sweep(own_home, "unknown").uri == "http://another:5000"


def test_an_address_that_is_given_is_another_store(own_home):
    assert given_store(f"{SERVER}/", own_home) == Store(SERVER, "--to")
    with pytest.raises(ValueError, match="--to lab: give the address of an MLflow server, as http://HOST:5000"):
        given_store("lab", own_home)
    with pytest.raises(ValueError, match="is this home's own store: `seisweep merge FILE` takes a sweep in"):
        given_store(own_home.mlflow_uri, own_home)


def test_a_store_that_is_not_the_homes_own_is_named_once(own_home, capsys):
    for _ in range(2):
        Store(SERVER, VARIABLE).say()
    assert capsys.readouterr().err == f"in the store {SERVER} ({VARIABLE})\n"
    own_store(own_home).say()
    assert capsys.readouterr().err == ""


def test_a_home_without_its_record_is_one_line(own_home):
    store = own_store(own_home)
    with pytest.raises(ValueError, match="holds no sweeps yet: start with `seisweep demo`"):
        check_that_it_is_there(store, own_home, "toy-1")
    describe(own_home, "toy-1")
    with pytest.raises(ValueError, match=r"has the folder of toy-1 and not its record, mlflow.db and artifacts/"):
        check_that_it_is_there(store, own_home, "toy-1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "toy-1"}'])
def test_a_description_that_cannot_be_read_is_named(own_home, text):
    describe(own_home, "toy-1")
    own_home.sweep_file("toy-1").write_text(text)
    with pytest.raises(ValueError, match=r"sweeps/toy-1/sweep.json cannot be read: ") as caught:
        store_of_sweep(own_home, "toy-1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["sqlite:///lab.db", "mlruns"])
def test_a_store_in_a_file_is_the_same_from_every_folder(own_home, uri, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, uri)
    kept = store_by_default(own_home).kept_as
    assert kept.endswith(f"{tmp_path}/{uri.removeprefix('sqlite:///')}")
    monkeypatch.chdir("/")
    monkeypatch.setenv(VARIABLE, kept)
    assert store_by_default(own_home).kept_as == kept


def test_the_homes_own_database_is_its_own_store_however_it_is_named(own_home, monkeypatch):
    own_home.root.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(own_home.root)
    for uri in ("sqlite:///mlflow.db", own_home.mlflow_uri):
        assert store_by_default(own_home, Profile(name="lab", tracking_uri=uri)).is_own
