"""A machine that has no folder of the sweep, with the address of a server and its password alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import seisweep
from mlflow.tracking import MlflowClient
from promotable import write_waveforms
from seisweep import say
from seisweep.archive.bringing import bring_sweep
from seisweep.cli import run
from seisweep.engine.sweep_folder import Launch
from seisweep.record import tags
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import Store
from tracking_server import LOGIN, tracking_server


@pytest.mark.integration
def test_the_servers_address_and_password_are_all_that_a_reader_needs(
    recorded, student, empty_store, tmp_path, home, monkeypatch, capsys
):
    """The home that the sweep was recorded in first is gone; its data are still where its settings say."""
    cluster = Home(tmp_path / "cluster")
    shutil.copytree(recorded.root, cluster.root)
    shutil.copy(empty_store, tmp_path / "runs.db")
    for variable, value in LOGIN.items():
        monkeypatch.setenv(variable, value)
    with tracking_server(tmp_path, tmp_path / "runs.db") as uri:
        bring(cluster, uri)
        shutil.rmtree(cluster.root)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        read_everything(tmp_path, capsys)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another one")
        assert run(["results", "picker"]) == 2
        wrong = f"the tracking store {uri} does not let you in: it does not take lab (MLFLOW_TRACKING_USERNAME)"
        assert wrong in capsys.readouterr().err
        for variable in LOGIN:
            monkeypatch.delenv(variable)
        assert run(["results", "picker"]) == 2
        missing = "it needs a user and a password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        assert missing in capsys.readouterr().err
    assert not list(Home.find().sweeps_dir.glob("*"))


def bring(cluster: Home, uri: str) -> None:
    loaded = seisweep.load("picker", cluster.mlflow_uri)
    begun = Launch(
        cluster.sweep_dir("picker"), "id of picker", "picker", sweep_of(loaded), Profile(), "", "", {},
        lain_at=[str(cluster.root)],
    )  # fmt: skip
    cluster.sweep_file("picker").write_text(json.dumps(begun.as_dict()))
    assert bring_sweep("picker", cluster, Store(uri, "--to"), lambda line: None).num_written == 5


def sweep_of(loaded):
    from search_spaces.sweep import single_run

    return single_run("distillation", {}, loaded.objectives)


def read_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(seisweep.sweeps()["name"]) == ["picker"]
    loaded = seisweep.load("picker")
    assert loaded.best() == 0
    assert not loaded.curves().empty
    assert (loaded.artifacts(0) / "model_int8.onnx").is_file()
    write_waveforms(folder / "day.mseed")
    for words in (
        "results picker",
        "report picker",
        "plot picker",
        "promote picker",
        f"pick picker {folder}/day.mseed",
        f"pick models:/picker@int8 {folder}/day.mseed",
        f"pick models:/picker/1 {folder}/day.mseed",
        f"pick runs:/{loaded.run(0).info.run_id} {folder}/day.mseed",
        "evaluate picker",
    ):
        say._said.clear()
        assert run(words.split()) == 0, (words, capsys.readouterr().err)
        assert "cluster" not in capsys.readouterr().err, "no path of the machine that is gone"
    client = MlflowClient()
    version = client.get_model_version_by_alias("picker", "champion")
    assert version.tags[tags.PROMOTED_RUN] == loaded.run(0).info.run_id
