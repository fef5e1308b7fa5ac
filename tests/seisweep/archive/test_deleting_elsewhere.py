"""What a sweep has outside of its home goes with it where it is its own alone: checkpoints, records elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
from archived import contents, silent
from deletable import answers, deletable
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.archive.bringing import bring_sweep
from seisweep.cli import run
from seisweep.private.mlflow import sqlite_uri
from seisweep.record.mlflow_store import experiment_named
from seisweep.settings.home import Home
from seisweep.settings.which_store import Store
from tracking_server import LOGIN, tracking_server


@pytest.fixture
def home(source: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    return deletable(source, monkeypatch)


@pytest.mark.parametrize("was_launched_here", [True, False])
def test_checkpoints_outside_of_the_home_go_where_they_are_its_own(home, tmp_path, was_launched_here):
    kept = tmp_path / "storage" / "many-1-id-many-" / "session-001"
    kept.mkdir(parents=True)
    (beside := tmp_path / "storage" / "other-1-01234567").mkdir()
    described = json.loads(home.sweep_file("many-1").read_text())
    described["profile"]["storage_path"] = str(tmp_path / "storage")
    described["lain_at"] = [str(home.root)] if was_launched_here else ["/another/home"]
    home.sweep_file("many-1").write_text(json.dumps(described))
    assert run(["delete", "many-1", "--yes"]) == 0
    assert kept.exists() != was_launched_here, "the home that it came from may need them"
    assert beside.exists()


def test_checkpoints_in_s3_go_too(home, s3):
    prefix = "sweeps/many-1-id-many-"
    for key in (f"{prefix}/session-001/trial-00000/checkpoint_000001/state.pt", "sweeps/other-1-01234567/state.pt"):
        s3.put(key, b"weights")
    described = json.loads(home.sweep_file("many-1").read_text())
    described["profile"] |= {"storage_path": "s3://lab/sweeps", "storage_endpoint": s3.endpoint}
    home.sweep_file("many-1").write_text(json.dumps(described))
    assert run(["delete", "many-1", "--yes"]) == 0
    assert s3.objects() == ["sweeps/other-1-01234567/state.pt"]


def test_a_copy_does_not_take_the_record_of_a_sweep_that_runs_in_the_first_home(
    home, recorded_in, empty_store, tmp_path
):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(empty_store, tmp_path / "elsewhere" / "runs.db")
    store = Store(sqlite_uri(tmp_path / "elsewhere" / "runs.db"), "--to", (tmp_path / "elsewhere" / "files").as_uri())
    recorded_in(store)
    described = json.loads(home.sweep_file("many-1").read_text()) | {"lain_at": ["/first/home", str(home.root)]}
    home.sweep_file("many-1").write_text(json.dumps(described))
    client, own = MlflowClient(store.uri), results.load("many-1", store.uri).parent.info.run_id
    client.update_run(own, "RUNNING")
    assert run(["delete", "many-1", "--yes"]) == 2
    client.set_terminated(own)
    assert run(["delete", "many-1", "--yes"]) == 0


@pytest.fixture
def recorded_in(home: Home) -> Callable[[Store], None]:
    """Lets `many-1` be recorded in another store too, and its folder say that one."""

    def bring(store: Store) -> None:
        bring_sweep("many-1", home, store, silent)
        described = json.loads(home.sweep_file("many-1").read_text())
        home.sweep_file("many-1").write_text(json.dumps(described | {"store": store.uri}))

    return bring


def test_of_a_database_elsewhere_runs_and_files_go(home, recorded_in, empty_store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(empty_store, tmp_path / "elsewhere" / "runs.db")
    store = Store(sqlite_uri(tmp_path / "elsewhere" / "runs.db"), "--to", (tmp_path / "elsewhere" / "files").as_uri())
    recorded_in(store)
    own = len(results.load("many-1", home.mlflow_uri).runs)
    assert run(["delete", "many-1", "--yes"]) == 0
    client = MlflowClient(store.uri)
    assert client.get_experiment_by_name("distillation").lifecycle_stage == "deleted"
    assert not list((tmp_path / "elsewhere" / "files").iterdir())
    assert len(results.load("many-1", home.mlflow_uri).runs) == own, "that is another record"


@pytest.mark.integration
def test_of_a_server_runs_go_into_its_bin(home, recorded_in, empty_store, tmp_path, monkeypatch, capsys):
    (tmp_path / "server").mkdir()
    shutil.copy(empty_store, tmp_path / "server" / "runs.db")
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    with tracking_server(tmp_path / "server", tmp_path / "server" / "runs.db") as address:
        recorded_in(Store(address, "--to"))
        client = MlflowClient(address)
        places = [client.get_experiment_by_name("distillation").experiment_id]
        files = contents(tmp_path / "server" / "files")
        answers(monkeypatch, "y")
        capsys.readouterr()
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another one")
        assert run(["delete", "many-1"]) == 2
        assert "does not let you in" in capsys.readouterr().err
        assert home.sweep_file("many-1").is_file()
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", LOGIN["MLFLOW_TRACKING_PASSWORD"])
        assert run(["delete", "many-1"]) == 0
        assert "13 runs" in (said := " ".join(capsys.readouterr().err.split()))
        assert "into the bin of that server, and their files with `mlflow gc` there" in said
        assert not client.search_runs(places)
        assert len(client.search_runs(places, run_view_type=ViewType.DELETED_ONLY)) == 13
        assert contents(tmp_path / "server" / "files") == files
        assert [experiment_named(client, "distillation", None)] == places, "a new sweep of the kind"
        assert not client.search_runs(places), "brings none of them back"
        assert not home.sweep_dir("many-1").exists()
