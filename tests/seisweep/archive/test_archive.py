"""A sweep as one file: the same in another home, refused where it is not new, and read with care."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from archived import LOCAL, contents, describe, facts, silent, values
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.archive.format import MANIFEST, RUNS
from seisweep.archive.merging import merge
from seisweep.archive.packing import pack
from seisweep.cli import run
from seisweep.engine.launch import launch, resume
from seisweep.engine.sweep_folder import Launch
from seisweep.record import tags
from seisweep.results.open_store import open_store
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import Home


def test_a_packed_sweep_is_the_same_in_another_home(source, archive, engine_home):
    merge(archive, engine_home, silent)
    one, other = (results.load("many-1", home.mlflow_uri) for home in (source, engine_home))
    pd.testing.assert_frame_equal(one.trials, other.trials)
    pd.testing.assert_frame_equal(one.curves(), other.curves())
    assert values(engine_home.mlflow_uri, "many-1") == values(source.mlflow_uri, "many-1")
    assert facts(other.parent) == facts(one.parent)
    for number in one.runs:
        assert facts(other.run(number)) == facts(one.run(number))
        assert other.run(number).info[2:5] == one.run(number).info[2:5], "status, start and end"
        assert other.run(number).data.tags[tags.PARENT] == other.parent.info.run_id
        assert contents(other.artifacts(number)) == contents(one.artifacts(number))
        assert other.artifacts(number).is_relative_to(engine_home.root)
    assert contents(other.files) == contents(one.files)
    folder = contents(engine_home.sweep_dir("many-1"))
    assert "tune/session-001/trial-00000/checkpoint_000000/state.json" in folder
    assert {"tune/session-001/experiment_state.json", "driver.lock", "driver.json"} & set(folder) == set()
    assert list(results.sweeps(engine_home.mlflow_uri)["name"]) == ["many-1"]
    assert not list(engine_home.root.glob(".merging*"))


def test_the_openings_of_a_test_split_come_along(source, tmp_path, engine_home):
    client = MlflowClient(source.mlflow_uri)
    trial = results.load("many-1", source.mlflow_uri).run(0).info.run_id
    experiment = client.create_experiment(tags.PROMOTIONS, source.artifacts_dir.as_uri())
    about = {tags.ROLE: tags.PROMOTION_ROLE, tags.SWEEP: "many-1", tags.PROMOTED_RUN: trial, tags.TEST_SPLIT: "data"}
    client.create_run(experiment, tags=about)
    pack("many-1", tmp_path / "packed", source, LOCAL, silent)
    merge(tmp_path / "packed", engine_home, silent)
    (opening,) = open_store(engine_home.mlflow_uri).tagged({tags.TEST_SPLIT: "data"})
    assert opening.data.tags[tags.PROMOTED_RUN] == results.load("many-1", engine_home.mlflow_uri).run(0).info.run_id


def state_of(home: Home) -> tuple[set[str], Counter[str]]:
    """Files but for the database's own, and active runs by sweep."""
    files = {name for name in contents(home.root) if not name.startswith(("mlflow.", "merge.lock"))}
    client = MlflowClient(home.mlflow_uri)
    experiments = [found.experiment_id for found in client.search_experiments()]
    return files, Counter(run.data.tags.get(tags.SWEEP) for run in client.search_runs(experiments))


def test_what_is_there_already_is_refused(source, archive, engine_home, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(source.root))
    before = state_of(source)
    assert run(["merge", str(archive)]) == 2
    assert capsys.readouterr().err == f"seisweep: home {source.root} has this sweep already: many-1\n"
    assert run(["pack", "many-1", str(archive)]) == 2
    assert capsys.readouterr().err == f"seisweep: {archive} exists already: choose another name\n"
    assert run(["pack", "many-2", str(archive.with_name("other"))]) == 2
    assert "no sweep named many-2" in capsys.readouterr().err
    assert state_of(source) == before
    merge(archive, engine_home, silent)
    shutil.rmtree(engine_home.sweep_dir("many-1"))
    client = MlflowClient(engine_home.mlflow_uri)
    client.set_tag(results.load("many-1", engine_home.mlflow_uri).parent.info.run_id, tags.SWEEP_ID, "of another home")
    with pytest.raises(ValueError, match=r"has another sweep named many-1$"):
        merge(archive, engine_home, silent)


def test_another_sweep_of_the_home_that_cannot_be_read_keeps_nobody_out(archive, engine_home):
    broken = engine_home.sweep_file("broken-1")
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    merge(archive, engine_home, silent)
    assert engine_home.sweep_file("many-1").is_file()
    with pytest.raises(ValueError, match="has this sweep already: many-1"):
        merge(archive, engine_home, silent, "other-1")


def test_another_name_is_another_sweep_of_the_home(source, archive, engine_home):
    merge(archive, engine_home, silent, "taken-in")
    assert list(results.sweeps(engine_home.mlflow_uri)["name"]) == ["taken-in"]
    assert Launch.read(engine_home, "taken-in").name == "taken-in"
    assert values(engine_home.mlflow_uri, "taken-in") == values(source.mlflow_uri, "many-1")
    names = {run.data.tags["mlflow.runName"] for run in results.load("taken-in", engine_home.mlflow_uri).runs.values()}
    assert names == {f"taken-in-{number:03d}" for number in range(12)}
    with pytest.raises(ValueError, match=r"has this sweep already: taken-in$"):
        merge(archive, engine_home, silent)


def test_of_a_sweep_that_is_recorded_here_only_the_folder_is_taken(archive, engine_home):
    """A merge may be killed between the two."""
    merge(archive, engine_home, silent)
    before = state_of(engine_home)
    shutil.rmtree(engine_home.sweep_dir("many-1"))
    merge(archive, engine_home, silent)
    assert state_of(engine_home) == before


def test_a_merge_that_fails_in_the_middle_leaves_nothing(archive, engine_home, monkeypatch):
    before, log = state_of(engine_home), MlflowClient.log_artifact
    calls = iter(range(100))

    def fail(client: MlflowClient, *given: str) -> None:
        if next(calls) >= 5:
            raise MlflowException("no room")
        log(client, *given)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", fail)
        with pytest.raises(ValueError, match="does not answer: no room"):
            merge(archive, engine_home, silent)
    assert state_of(engine_home) == before
    merge(archive, engine_home, silent)


def test_a_merge_that_is_killed_in_the_middle_is_begun_anew(archive, engine_home, source):
    """It leaves runs without the run of the sweep, which nobody lists."""
    merge(archive, engine_home, silent)
    whole = state_of(engine_home)
    shutil.rmtree(engine_home.sweep_dir("many-1"))
    client = MlflowClient(engine_home.mlflow_uri)
    client.delete_tag(results.load("many-1", engine_home.mlflow_uri).parent.info.run_id, tags.ROLE)
    assert results.sweeps(engine_home.mlflow_uri).empty
    merge(archive, engine_home, silent)
    assert state_of(engine_home)[1] == whole[1], "no run is there twice"
    assert values(engine_home.mlflow_uri, "many-1") == values(source.mlflow_uri, "many-1")


def test_a_sweep_that_runs_is_not_packed(source, tmp_path):
    with driver_lock(source.sweep_dir("many-1")), pytest.raises(ValueError, match="many-1 is running now"):
        pack("many-1", tmp_path / "packed", source, LOCAL, silent)
    assert not (tmp_path / "packed").exists()


def test_what_is_missing_of_a_sweep_is_named(source, tmp_path):
    said: list[str] = []
    folder = results.load("many-1", source.mlflow_uri).artifacts(3)
    shutil.rmtree(folder)
    pack("many-1", tmp_path / "packed", source, LOCAL, said.append)
    (line,) = said
    assert line.startswith(f"not in the archive: the files of many-1-003 are not there: no folder {folder}")


def test_weights_that_a_sweep_begins_from_come_along(source, tmp_path, engine_home):
    """From outside of the home and from inside of it."""
    outside, inside = tmp_path / "lab" / "phasenet", source.cache_dir / "weights" / "ab" / "encoder.pt"
    for file in (Path(f"{outside}.json.v1"), Path(f"{outside}.pt.v1"), inside):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    data = source.data_dir / "local"
    describe(source, **{"teacher.weights": str(outside), "model.pretrained": str(inside), "data.dataset": str(data)})
    said: list[str] = []
    pack("many-1", tmp_path / "packed", source, LOCAL, said.append)
    assert said == [f"not in the archive: the data in {data}"]
    shutil.rmtree(source.root)
    shutil.rmtree(outside.parent)
    merge(tmp_path / "packed", engine_home, said.append)
    here = Launch.read(engine_home, "many-1").sweep_here.base
    teacher = here["teacher.weights"]
    assert Path(f"{teacher}.pt.v1").read_text() == "phasenet.pt.v1"
    assert Path(f"{teacher}.json.v1").read_text() == "phasenet.json.v1"
    assert Path(here["model.pretrained"]).read_text() == "encoder.pt"
    assert here["data.dataset"] == str(engine_home.data_dir / "local"), "looked for where this home has its data"
    assert said[1:] == [
        f"its data is not here: before a `seisweep resume many-1` bring it to {here['data.dataset']}",
        "if you have it elsewhere: `seisweep sweeps many-1` shows how to run it again with your paths",
    ]


Change = Callable[[dict[str, bytes]], None]


def rewritten(archive: Path, change: Change, links: dict[str, str] | None = None) -> Path:
    """The archive with other members."""
    with tarfile.open(archive) as whole:
        members = {one.name: whole.extractfile(one).read() for one in whole}
    change(members)
    file = archive.with_name("changed.tar.gz")
    with tarfile.open(file, "w:gz") as changed:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            changed.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            changed.addfile(member)
    return file


def said_of_itself(members: dict[str, bytes], **fields: object) -> None:
    members[MANIFEST] = json.dumps(json.loads(members[MANIFEST]) | fields).encode()


def described_as(members: dict[str, bytes], **fields: object) -> None:
    """Another description of the same length in files and, by its manifest, in bytes."""
    file = "sweep/sweep.json"
    was = len(members[file])
    members[file] = json.dumps(json.loads(members[file]) | fields).encode()
    said = json.loads(members[MANIFEST])
    said_of_itself(members, bytes=said["bytes"] + len(members[file]) - was)


def another(name: str) -> Change:
    return lambda members: members.update({name: b"x"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another("../outside"), "which is not part of a sweep"),
        (another("/outside"), "which is not part of a sweep"),
        (another("sweep/../../../outside"), "it holds more files than its manifest says"),
        (another("elsewhere/file"), "which is not part of a sweep"),
        (another("sweep/more"), "it holds more files than its manifest says"),
        (lambda members: members.pop(RUNS), "it ends early"),
        (lambda members: said_of_itself(members, sweep="../many-1"), "manifest.json: "),
        (lambda members: said_of_itself(members, format=2), "its format is 2, and this seisweep reads 1"),
        (lambda members: described_as(members, name="other"), "it is of other, the archive of many-1"),
        (lambda members: described_as(members, places={"/a": "../../x"}), "is not a place in its folder"),
        (lambda members: described_as(members, sweep={}), "sweep/sweep.json: "),
        (lambda members: members.pop(MANIFEST), "it does not begin with manifest.json"),
    ],
)
def test_an_archive_that_is_none_is_one_line_and_takes_no_effect(archive, engine_home, tmp_path, change, reason):
    before = state_of(engine_home)
    file = rewritten(archive, change)
    with pytest.raises(ValueError, match=r"changed\.tar\.gz is damaged, or not the archive of a sweep") as caught:
        merge(file, engine_home, silent)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert state_of(engine_home) == before
    assert not list(tmp_path.rglob("outside"))


def test_nothing_is_written_outside_whatever_an_archive_says_of_its_size(archive, engine_home, tmp_path):
    def change(members: dict[str, bytes]) -> None:
        members["sweep/../../../outside"] = b"x"
        said = json.loads(members[MANIFEST])
        said_of_itself(members, files=said["files"] + 1, bytes=said["bytes"] + 1)

    with pytest.raises(ValueError, match="outside"):
        merge(rewritten(archive, change), engine_home, silent)
    with pytest.raises(ValueError, match="which is not part of a sweep"):
        merge(rewritten(archive, lambda members: None, {"sweep/link": "/etc"}), engine_home, silent)
    assert not list(tmp_path.rglob("outside"))
    assert state_of(engine_home) == (set(state_of(engine_home)[0]), Counter())


def test_half_an_archive_and_other_files_are_one_line(archive, engine_home, tmp_path):
    half, text, broken = (tmp_path / name for name in ("half", "text", "broken"))
    content = archive.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    text.write_text("words")
    broken.write_bytes(content[:-400] + bytes(392) + content[-8:])
    for file in (half, text, broken):
        with pytest.raises(ValueError, match=f"{file} is damaged, or not the archive of a sweep: "):
            merge(file, engine_home, silent)
    with pytest.raises(ValueError, match="no/such/file cannot be read: No such file"):
        merge(Path("/no/such/file"), engine_home, silent)
    assert state_of(engine_home)[1] == Counter()


@pytest.mark.integration
def test_a_merged_sweep_goes_on_in_its_new_home(local_ray, engine_home, toy_sweep, tmp_path, home, monkeypatch):
    launch(toy_sweep(samples=2, base={"training.epochs": 2}), LOCAL, engine_home, name="toy-1", concurrency=1)
    pack("toy-1", tmp_path / "packed", engine_home, LOCAL, silent)
    before = values(engine_home.mlflow_uri, "toy-1")
    shutil.rmtree(engine_home.root)
    there = Home(tmp_path / "another machine")
    merge(tmp_path / "packed", there, silent)
    longer = resume("toy-1", None, there, extend=2, concurrency=1)
    assert (longer.state, len(longer.rows)) == ("finished", 4)
    trials = [one for one in values(there.mlflow_uri, "toy-1") if one[0] != "sweep"]
    assert [one for one in trials if one[0] in ("0", "1")] == [one for one in before if one[0] != "sweep"]
    assert not engine_home.root.exists()
    monkeypatch.setenv("SEISWEEP_HOME", str(there.root))
    assert run(["report", "toy-1", "--output", str(tmp_path / "page.html")]) == 0
