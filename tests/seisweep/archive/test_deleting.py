"""A sweep goes with all that is its own, and with nothing else; what opened a test split keeps it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from archived import contents, describe
from deletable import answers, deletable, everything, traces
from mlflow.tracking import MlflowClient
from seisweep import results
from seisweep.archive import deleting
from seisweep.cli import run
from seisweep.private.mlflow import Database
from seisweep.record import tags
from seisweep.record.mlflow_store import experiment_named
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.sent import keep


@pytest.fixture
def home(source: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    return deletable(source, monkeypatch)


def test_all_of_it_goes_and_nothing_of_others(home, monkeypatch, capsys):
    others = {name: results.load(name, home.mlflow_uri) for name in ("none-1", "shots-1")}
    before = {name: (one.trials, contents(one.files), contents(home.sweep_dir(name))) for name, one in others.items()}
    own = results.load("many-1", home.mlflow_uri)
    folders = [own.files.parent, *(own.artifacts(number).parent for number in own.runs)]
    answers(monkeypatch, "y")
    assert run(["delete", "many-1"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "13 runs, 1 model" in printed.err
    assert "empty then" not in printed.err, "none-1 is in the same experiment"
    assert printed.err.splitlines()[-1].startswith("many-1 is deleted: 13 runs, 1 model, ")
    assert traces(home) == []
    assert not any(folder.exists() for folder in folders)
    assert not list((home.artifacts_dir / "models").iterdir())
    for name, (trials, files, folder) in before.items():
        again = results.load(name, home.mlflow_uri)
        assert again.trials.equals(trials)
        assert (contents(again.files), contents(home.sweep_dir(name))) == (files, folder)
    with pytest.raises(ValueError, match="no sweep named many-1"):
        results.load("many-1", home.mlflow_uri)


def test_the_last_sweep_takes_its_experiment_along_and_a_new_one_has_it_again(home, monkeypatch):
    client = MlflowClient(home.mlflow_uri)
    assert run(["delete", "many-1", "--yes"]) == 0
    assert client.get_experiment_by_name("distillation").lifecycle_stage == "active"
    assert run(["delete", "none-1", "--yes"]) == 0, "a record without a folder's description"
    assert client.get_experiment_by_name("distillation").lifecycle_stage == "deleted"
    assert experiment_named(client, "distillation", None) == client.get_experiment_by_name("distillation").experiment_id
    assert client.get_experiment_by_name("distillation").lifecycle_stage == "active"


def test_a_run_of_the_users_own_keeps_the_experiment(home):
    client = MlflowClient(home.mlflow_uri)
    place = client.get_experiment_by_name("foreshock-fewshot").experiment_id
    mine = client.create_run(place)
    client.delete_run(mine.info.run_id)  # it can be brought back from the bin
    assert run(["delete", "shots-1", "--yes"]) == 0
    assert client.get_experiment(place).lifecycle_stage == "active"
    client.restore_run(mine.info.run_id)


def test_who_says_no_keeps_it(home, monkeypatch, capsys):
    before = everything(home), traces(home)
    for word in ("", "n", "what"):
        answers(monkeypatch, word)
        assert run(["delete", "many-1"]) == 1
        assert capsys.readouterr().err.endswith("nothing is deleted\n")
    assert (everything(home), traces(home)) == before


@pytest.mark.parametrize("words", [["delete", "many-1"], ["delete", "many-1", "--yes"]])
def test_one_that_runs_is_refused(home, words, capsys):
    before = traces(home)
    with driver_lock(home.sweep_dir("many-1")):
        files = everything(home)
        assert run(words) == 2
        assert everything(home) == files
    assert capsys.readouterr().err == (
        "seisweep: many-1 is running now: `seisweep stop many-1` ends it, then it can be deleted\n"
    )
    assert traces(home) == before


@pytest.mark.parametrize("in_bin", [False, True])
@pytest.mark.parametrize("words", [["delete", "many-1"], ["delete", "many-1", "--yes"]])
def test_a_promoted_one_is_refused_also_where_its_opening_lies_in_the_bin(home, in_bin, words, capsys):
    opening = promote(home, "failed")
    if in_bin:
        MlflowClient(home.mlflow_uri).delete_run(opening)
    before = everything(home), traces(home)
    assert run(words) == 2
    assert capsys.readouterr().err == (
        "seisweep: many-1 has been promoted: trial 0 opened a test split, and the record of that needs its sweep; it "
        "is not deleted\n"
    )
    assert (everything(home), traces(home)) == before


def test_a_promotion_that_was_refused_has_opened_nothing(home):
    opening = promote(home, tags.REFUSED)
    assert run(["delete", "many-1", "--yes"]) == 0
    assert MlflowClient(home.mlflow_uri).get_run(opening).info.lifecycle_stage == "active"


def promote(home: Home, state: str) -> str:
    client = MlflowClient(home.mlflow_uri)
    trial = results.load("many-1", home.mlflow_uri).run(0).info.run_id
    place = client.create_experiment(tags.PROMOTIONS, home.artifacts_dir.as_uri())
    about = {tags.ROLE: tags.PROMOTION_ROLE, tags.PROMOTED_RUN: trial, tags.TRIAL: "0", tags.STATE: state}
    return client.create_run(place, tags=about).info.run_id


def test_what_is_no_sweep_is_one_line(home, capsys):
    before = everything(home)
    nearest = f"no sweep named many-2 in {home.root}; did you mean many-1?"
    for name, part in (("many-2", nearest), ("../many-1", "cannot be the name of a sweep")):
        assert run(["delete", name, "--yes"]) == 2
        assert part in (said := capsys.readouterr().err)
        assert said.count("\n") == 1
    assert everything(home) == before


def test_without_anybody_to_ask_it_wants_to_be_told(home, monkeypatch, capsys):
    monkeypatch.setattr("seisweep.commands.delete.can_ask", lambda: False)
    before = everything(home)
    assert run(["delete", "many-1"]) == 2
    assert capsys.readouterr().err == (
        "seisweep: delete asks before it deletes, and there is no terminal to ask in: `seisweep delete many-1 --yes`\n"
    )
    assert everything(home) == before


def test_a_sweep_of_a_store_whose_folder_is_elsewhere_is_not_for_this_home(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEISWEEP_HOME", str(tmp_path / "laptop"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", home.mlflow_uri)
    assert run(["delete", "many-1", "--yes"]) == 2
    assert "its folder is in another home: delete it there" in capsys.readouterr().err
    assert len(traces(home)) > 13


def test_other_sweeps_that_need_it_are_named(home, monkeypatch, capsys):
    describe(home, **{"teacher.weights": "stead"})
    shutil.copytree(home.sweep_dir("many-1"), home.sweep_dir("later-1"))
    file = home.sweep_file("later-1")
    weights = results.load("many-1", home.mlflow_uri).artifacts(0) / "student"
    file.write_text(file.read_text().replace("stead", str(weights)).replace("id-many-1", "id-later-1"))
    answers(monkeypatch, "n")
    run(["delete", "many-1"])
    assert "what stays: later-1, which starts from its files" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_removed_is_said_and_the_rest_goes_later(home, monkeypatch, capsys):
    own = results.load("many-1", home.mlflow_uri).files.parent
    real = shutil.rmtree

    def rmtree(folder, *args, **more):
        if Path(folder) == own:
            raise PermissionError(13, "Permission denied", str(own / "root.txt"))
        real(folder, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", rmtree)
        assert run(["delete", "many-1", "--yes"]) == 1
    assert " ".join(capsys.readouterr().err.split()) == (
        f"{own / 'root.txt'} cannot be removed: Permission denied: `seisweep delete many-1` deletes the rest"
    )
    assert run(["delete", "many-1", "--yes"]) == 0
    assert traces(home) == []


def test_a_cluster_that_does_not_answer_may_still_run_it(home, capsys):
    keep(home, "many-1", Profile(submit_to="http://127.0.0.1:9"))
    before = everything(home)
    assert run(["delete", "many-1", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "whether many-1 still runs there is not known" in said
    assert said.count("\n") == 1
    assert everything(home) == before
    (home.jobs_dir / "many-1.json").unlink()
    assert run(["delete", "many-1", "--yes"]) == 0


@pytest.mark.parametrize("step", ["model", "first run", "last run", "view", "folder"])
def test_a_deletion_that_was_ended_is_typed_again_and_ends(home, monkeypatch, step, capsys):
    """The last moment of each part."""
    with monkeypatch.context() as patch:
        end_at(patch, step, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(["delete", "many-1", "--yes"]) == 1
    assert capsys.readouterr().err == "interrupted: `seisweep delete many-1` deletes the rest\n"
    assert traces(home) != []
    assert run(["delete", "many-1", "--yes"]) == 0
    assert traces(home) == []
    assert run(["delete", "many-1", "--yes"]) == 2
    assert len(results.load("none-1", home.mlflow_uri).runs) == 2


def end_at(patch: pytest.MonkeyPatch, step: str, end) -> None:
    left = {"first run": 1, "last run": 13}.get(step, 1)

    def before(real):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if not left:
                end()
            return real(*args, **kwargs)

        return call

    if step == "folder":
        patch.setattr(deleting, "finish", before(deleting.finish))
        left = 2  # the first looks for what an earlier one has left
    elif step == "view":
        patch.setattr(MlflowClient, "delete_experiment_tag", before(MlflowClient.delete_experiment_tag))
    else:
        name = "delete_model" if step == "model" else "delete_run"
        patch.setattr(Database, name, before(getattr(Database, name)))


@pytest.mark.integration
def test_one_that_is_killed_too(home):
    """By the system, in the middle of its runs."""
    code = """
        import os, signal, sys
        from seisweep.cli import run
        from seisweep.private.mlflow import Database
        left, real = [7], Database.delete_run

        def delete_run(self, run_id):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, run_id)

        Database.delete_run = delete_run
        run(["delete", "many-1", "--yes"])
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len([one for one in traces(home) if "/" not in one]) >= 7
    assert run(["delete", "many-1", "--yes"]) == 0
    assert traces(home) == []


def test_a_home_that_was_moved_loses_its_own_files_alone(home, tmp_path, monkeypatch):
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    before = everything(home)
    monkeypatch.setenv("SEISWEEP_HOME", str(copy.root))
    assert run(["delete", "many-1", "--yes"]) == 0
    assert traces(copy) == []
    assert not any(Path(name).parts[0] == "sweeps" and "many-1" in name for name in everything(copy))
    assert len(everything(copy)) < len(before)
    assert everything(home) == before
