"""A sweep to another store: exactly once, whatever ends a merge and however often it is repeated."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from archived import LOCAL, contents, facts, silent, values
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.archive import bringing, recording
from seisweep.archive.bringing import bring_archive, bring_sweep
from seisweep.archive.packing import pack
from seisweep.cli import run
from seisweep.private.mlflow import sqlite_uri
from seisweep.record import mlflow_answers, tags
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import Home
from seisweep.settings.which_store import Store


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Store:
    """A store that is nobody's home, in the place of a server."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_store, folder / "runs.db")
    return Store(sqlite_uri(folder / "runs.db"), "--to", (folder / "files").as_uri())


def runs_in(store: Store) -> Counter[str]:
    """How many runs the store has, by sweep and trial."""
    client = MlflowClient(store.uri)
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return Counter(f"{run.data.tags[tags.SWEEP]} {run.data.tags.get(tags.TRIAL, '')}".strip() for run in found)


ONCE = Counter(["many-1", *(f"many-1 {number}" for number in range(12))])


def check_that_all_is_there(source: Home, server: Store, name: str = "many-1") -> None:
    one, other = results.load("many-1", source.mlflow_uri), results.load(name, server.uri)
    pd.testing.assert_frame_equal(one.trials, other.trials)
    assert values(server.uri, name) == values(source.mlflow_uri, "many-1")
    for number, ours in one.runs.items():
        theirs = other.run(number)
        assert theirs.info[2:5] == ours.info[2:5], "status, start and end"
        assert theirs.data.tags[tags.PARENT] == other.parent.info.run_id
        assert contents(other.artifacts(number)) == contents(one.artifacts(number))
        assert not other.artifacts(number).is_relative_to(source.root)
    assert set(contents(other.files)) == set(contents(one.files))


def test_a_sweep_is_brought_once_however_often_and_stays_in_its_home(source, server):
    before = contents(source.sweeps_dir), values(source.mlflow_uri, "many-1")
    first = bring_sweep("many-1", source, server, silent)
    assert (first.name, first.trials, first.state, first.num_written) == ("many-1", 12, "finished", 13)
    check_that_all_is_there(source, server)
    assert facts(results.load("many-1", server.uri).run(3)) == facts(results.load("many-1", source.mlflow_uri).run(3))
    assert bring_sweep("many-1", source, server, silent).num_written == 0
    assert runs_in(server) == ONCE
    kept = {name: content for name, content in contents(source.sweeps_dir).items() if "/driver." not in name}
    assert (kept, values(source.mlflow_uri, "many-1")) == (
        {name: content for name, content in before[0].items() if "/driver." not in name},
        before[1],
    )


def test_a_home_that_was_moved_and_its_archive_bring_the_same_sweep(source, archive, server, tmp_path):
    bring_sweep("many-1", source, server, silent)
    ids = {number: one.info.run_id for number, one in results.load("many-1", server.uri).runs.items()}
    moved = Home(source.root.rename(tmp_path / "elsewhere"))
    assert bring_sweep("many-1", moved, server, silent).num_written == 0
    assert bring_archive(archive, server, silent).num_written == 0
    assert ids == {number: one.info.run_id for number, one in results.load("many-1", server.uri).runs.items()}
    assert runs_in(server) == ONCE


def test_data_sets_come_along(source, server):
    bring_sweep("many-1", source, server, silent)
    client = MlflowClient(server.uri)
    inputs = [client.get_run(one.info.run_id).inputs for one in results.load("many-1", server.uri).runs.values()]
    assert [[data.dataset.name for data in one.dataset_inputs] for one in inputs] == [["simulated"]] * 12


def test_a_moved_home_brings_its_files_along(source, server, tmp_path):
    moved = Home(source.root.rename(tmp_path / "elsewhere"))
    bring_sweep("many-1", moved, server, silent)
    check_that_all_is_there(moved, server)


@pytest.mark.parametrize("lost", ["artifacts", "a file"])
def test_missing_files_are_named_and_nothing_is_recorded(source, server, tmp_path, monkeypatch, capsys, lost):
    folder = results.load("many-1", source.mlflow_uri).artifacts(3)
    shutil.rmtree(folder) if lost == "artifacts" else (folder / "config.json").unlink()
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    pack("many-1", tmp_path / "packed", source, LOCAL, silent)
    for sweep in ("many-1", str(tmp_path / "packed")):
        assert run(["merge", sweep, "--to", server.uri]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert err.startswith("seisweep: many-1 is not complete, and nothing was recorded: missing many-1-003/")
        assert "config.json" in err
    assert runs_in(server) == Counter()


def test_what_a_checkpoint_still_has_and_the_record_not_is_missing(source, server):
    """As where a home was copied without some of its files."""
    kept = source.sweep_dir("many-1") / "tune" / "last" / "artifacts" / "model.onnx"
    kept.parent.mkdir(parents=True)
    kept.write_text("a model")
    with (source.sweep_dir("many-1") / "ledger.jsonl").open("a") as ledger:
        print(
            '{"event": "checkpoint", "trial": 3, "epoch": 3, "final": true, "place": "tune/last", "time_ms": 1}',
            file=ledger,
        )
    with pytest.raises(ValueError, match=r"missing many-1-003/model\.onnx "):
        bring_sweep("many-1", source, server, silent)
    assert runs_in(server) == Counter()


@pytest.mark.parametrize("at_call", [0, 7, 40, 63, 64])
def test_a_killed_merge_is_completed_by_the_next_one(source, server, monkeypatch, at_call):
    """Whichever call it is that nothing comes after; until the last one nobody sees the sweep."""
    calls = iter(range(10_000))

    class Killed(BaseException): ...

    def dies(call, *patience, **more):
        if next(calls) >= at_call:
            raise Killed
        return mlflow_answers.ask(call, *patience, **more)

    with monkeypatch.context() as patch:
        patch.setattr(recording, "ask", dies)
        patch.setattr(recording, "upload", lambda *given: dies(lambda: mlflow_files_upload(*given)))
        with pytest.raises(Killed):
            bring_sweep("many-1", source, server, silent)
    assert results.sweeps(server.uri).empty
    bring_sweep("many-1", source, server, silent)
    check_that_all_is_there(source, server)
    assert runs_in(server) == ONCE


mlflow_files_upload = recording.upload


def test_a_sweep_that_has_grown_brings_what_has_come(source, server):
    bring_sweep("many-1", source, server, silent)
    ids = {one.info.run_id for one in results.load("many-1", server.uri).runs.values()}
    client, ours = MlflowClient(source.mlflow_uri), results.load("many-1", source.mlflow_uri)
    trial = ours.run(2)
    later = trial.info.end_time + 60_000
    client.log_metric(trial.info.run_id, "dev/f1", 0.99, timestamp=later, step=9)
    client.set_terminated(trial.info.run_id, "FINISHED", later)
    assert bring_sweep("many-1", source, server, silent).num_written == 1
    check_that_all_is_there(source, server)
    assert ids == {one.info.run_id for one in results.load("many-1", server.uri).runs.values()}
    assert runs_in(server) == ONCE


def test_an_older_archive_takes_nothing_away(source, archive, server):
    client, trial = MlflowClient(source.mlflow_uri), results.load("many-1", source.mlflow_uri).run(2)
    later = trial.info.end_time + 60_000
    client.set_tag(trial.info.run_id, "gate", "accepted since")
    client.set_terminated(trial.info.run_id, "FINISHED", later)
    bring_sweep("many-1", source, server, silent)
    assert bring_archive(archive, server, silent).num_written == 0
    assert results.load("many-1", server.uri).tags(2)["gate"] == "accepted since"


def another_sweep(server: Store) -> None:
    client = MlflowClient(server.uri)
    about = {tags.ROLE: tags.SWEEP_ROLE, tags.SWEEP: "many-1", tags.SWEEP_ID: "of another home"}
    client.create_run(client.create_experiment("other"), tags=about)


def test_another_sweep_of_the_name_is_refused_and_a_new_name_helps(source, archive, server, monkeypatch, capsys):
    another_sweep(server)
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    for sweep in ("many-1", str(archive)):
        assert run(["merge", sweep, "--to", server.uri]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(
            f"{server.uri} has another sweep named many-1: --name NEW records this one under another name"
        )
        assert runs_in(server) == Counter(["many-1"])
    assert run(["merge", "many-1", "--to", server.uri, "--name", "many-of-ours"]) == 0
    out, err = capsys.readouterr()
    assert out == "many-of-ours\n"
    assert f"MLFLOW_TRACKING_URI={server.uri} seisweep results many-of-ours" in err
    check_that_all_is_there(source, server, "many-of-ours")
    read = results.load("many-of-ours", server.uri)
    assert read.read_json(read.files / tags.SWEEP_FILE)["name"] == "many-of-ours"
    assert bring_archive(archive, server, silent).name == "many-of-ours", "the same sweep, by its id"
    with pytest.raises(
        ValueError, match=r"has this sweep already, as many-of-ours: --name third would record it twice"
    ):
        bring_sweep("many-1", source, server, silent, "third")
    assert sum(runs_in(server).values()) == 1 + 13


def test_openings_of_a_test_split_come_along_once(source, server):
    client, trial = MlflowClient(source.mlflow_uri), results.load("many-1", source.mlflow_uri).run(0)
    experiment = client.create_experiment(tags.PROMOTIONS, source.artifacts_dir.as_uri())
    about = {tags.ROLE: tags.PROMOTION_ROLE, tags.SWEEP: "many-1", tags.TEST_SPLIT: "data"}
    client.create_run(experiment, tags=about | {tags.PROMOTED_RUN: trial.info.run_id})
    for _ in range(2):
        bring_sweep("many-1", source, server, silent)
    there = MlflowClient(server.uri)
    (opening,) = there.search_runs([there.get_experiment_by_name(tags.PROMOTIONS).experiment_id])
    assert opening.data.tags[tags.PROMOTED_RUN] == results.load("many-1", server.uri).run(0).info.run_id


def test_a_sweep_whose_driver_was_killed_is_interrupted_there(source, server):
    client, ours = MlflowClient(source.mlflow_uri), results.load("many-1", source.mlflow_uri)
    for one in (ours.parent, ours.run(11)):
        client.update_run(one.info.run_id, "RUNNING")
        client.set_tag(one.info.run_id, tags.STATE, "running")
    bring_sweep("many-1", source, server, silent)
    there = results.load("many-1", server.uri)
    for one in (there.parent, there.run(11)):
        assert (one.info.status, one.data.tags[tags.STATE]) == ("KILLED", "interrupted")
        assert one.info.end_time is not None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["many-1"], "many-1 is a sweep of this home: give the server that it goes to with --to URI"),
        (["many-9", "--to", "http://127.0.0.1:9"], "many-9: no sweep in"),
        (["many-1", "--to", "server"], "--to server: give the address of an MLflow server, as http://HOST:5000"),
        (["many-1", "--to", "http://127.0.0.1:9"], "the tracking server http://127.0.0.1:9 does not answer"),
        (["many-1", "--to", "http://h", "--name", "a/b"], "--name a/b: a name is letters"),
    ],
)
def test_what_cannot_be_merged_is_one_line(source, monkeypatch, capsys, words, complaint):
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    assert run(["merge", *words]) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1


def test_a_sweep_that_runs_is_not_brought(source, server):
    with driver_lock(source.sweep_dir("many-1")), pytest.raises(ValueError, match="many-1 is running now"):
        bring_sweep("many-1", source, server, silent)
    with pytest.raises(ValueError, match="there is nothing to copy"):
        bring_sweep("many-1", source, bringing.kept_store(source, "many-1"), silent)


def test_resume_of_a_finished_sweep_with_a_servers_profile_brings_it_there(source, server, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    (source.sweep_dir("many-1") / "ledger.jsonl").open("a").write(
        '{"event": "sweep_end", "state": "finished", "time_ms": 1}\n'
    )
    source.profiles_dir.mkdir()
    (source.profiles_dir / "lab.toml").write_text(f'tracking_uri = "{server.uri}"')
    assert run(["resume", "many-1", "--profile", "lab"]) == 0
    err = capsys.readouterr().err
    assert (
        f"many-1 is over: nothing is left to run; it is copied, as by `seisweep merge many-1 --to {server.uri}`" in err
    )
    assert runs_in(server) == ONCE
