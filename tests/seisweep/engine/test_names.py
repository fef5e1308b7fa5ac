"""A name on a store that other homes write to: found free, and then taken by another before the sweep begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.engine.launch import launch
from seisweep.launching import start as start_module
from seisweep.launching.start import start
from seisweep.private.mlflow import sqlite_uri
from seisweep.record import name_claim, tags
from seisweep.settings.home import Home, NameTakenError
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import Store


@pytest.fixture
def shared(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of several homes, in which another one has just launched `toy-1`."""
    shutil.copy(empty_store, tmp_path / "shared.db")
    store = Store(sqlite_uri(tmp_path / "shared.db"), "VARIABLE", (tmp_path / "files").as_uri())
    client = MlflowClient(store.uri)
    about = {tags.ROLE: tags.SWEEP_ROLE, tags.SWEEP: "toy-1", tags.SWEEP_ID: "of another home"}
    client.create_run(client.create_experiment("toy"), tags=about)
    monkeypatch.setattr(name_claim, "check_that_the_name_is_free", lambda *given: None)  # a moment ago it was
    monkeypatch.setattr(start_module, "_names_of_others", lambda *given: [])
    return store


def ids_of(store: Store) -> list[str]:
    """Sweep ids of all runs that are there."""
    client = MlflowClient(store.uri)
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return sorted({run.data.tags[tags.SWEEP_ID] for run in found})


@pytest.mark.integration
def test_who_comes_second_leaves_neither_folder_nor_run(local_ray, home, toy_sweep, shared):
    here = Home(home)
    with pytest.raises(NameTakenError, match="has a sweep named toy-1 from another home: choose --name") as caught:
        launch(toy_sweep(samples=1), Profile(), here, name="toy-1", store=shared)
    assert "\n" not in str(caught.value)
    assert list(here.sweeps_dir.iterdir()) == []
    assert ids_of(shared) == ["of another home"]


@pytest.mark.integration
def test_a_default_name_yields_to_the_next_number(local_ray, home, toy_sweep, shared):
    outcome = start(toy_sweep(samples=1, base={"training.epochs": 1}), Profile(), store=shared)
    assert (outcome.name, outcome.state) == ("toy-2", "finished")
    loaded = results.load("toy-2", shared.uri)
    assert loaded.parent.data.tags[tags.ROLE] == tags.SWEEP_ROLE
    assert len(loaded.runs) == 1
    assert [folder.name for folder in Home(home).sweeps_dir.iterdir()] == ["toy-2"]
    assert len(ids_of(shared)) == 2
