"""What the version before this one began goes on: listed, loaded, resumed, extended, reported, promoted."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
import seisweep
from mlflow.tracking import MlflowClient
from older import NAME, write_older_home
from seisweep.cli import run
from seisweep.record import tags
from seisweep.settings.home import Home

pytestmark = pytest.mark.integration


@pytest.fixture
def older(home: Path, earthquakes: Path, teacher_file: Path) -> Home:
    return write_older_home(home, earthquakes, teacher_file)


def test_it_is_listed_and_loaded(older, capsys):
    assert run(["sweeps", "--format", "json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["state"], listed["trials"], listed["best_trial"]) == (NAME, "interrupted", 4, 0)
    loaded = seisweep.load(NAME)
    assert list(loaded.trials["state"]) == ["done", "stopped", "interrupted"]
    assert loaded.best() == 0
    assert loaded.ranked() == [0, 2, 1]
    assert loaded.definition is not None
    assert loaded.curves("dev/f1").loc[0].index.tolist() == [1, 2, 3, 4]
    study = loaded.study()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "RUNNING"]
    assert study.trials[0].distributions["training.learning_rate"].log, "as its space has it: the record says nothing"
    assert capsys.readouterr().err == ""


def test_it_goes_on_and_gets_what_is_new(older, local_ray, capsys, tmp_path):
    """The third trial from its checkpoint, the fourth as the journal proposes it, and two more."""
    before = older.sweep_dir(NAME) / "ledger.jsonl"
    was = before.read_text()
    assert run(["resume", NAME]) == 0
    assert before.read_text().startswith(was), "nothing of the past is written anew"
    loaded = seisweep.load(NAME)
    states = list(loaded.trials["state"])
    assert len(states) == 4
    assert set(states) <= {"done", "stopped"}
    steps = loaded.curves("dev/f1").loc[2].index.tolist()
    assert steps == list(range(1, len(steps) + 1)), "no epoch lost, none twice"
    assert loaded.distributions is not None, "the record now says from what settings were drawn"
    assert run(["resume", NAME, "--extend", "2"]) == 0
    loaded = seisweep.load(NAME)
    assert len(loaded.runs) == 6
    storage = optuna.storages.journal.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(older.sweep_dir(NAME) / "study.journal"))
    )
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    assert all(trial.state.is_finished() for trial in trials)
    assert [trial.params for trial in trials] == [trial.params for trial in loaded.study().trials]

    assert run(["report", NAME, "--output", str(tmp_path / "page.html")]) == 0
    assert NAME in (tmp_path / "page.html").read_text()
    assert run(["results", NAME, "--format", "json"]) == 0
    capsys.readouterr()
    assert run(["promote", NAME, "--trial", "0"]) == 0
    assert f"registered: {NAME} (fp32 version 1, int8 version 2, champion version 2)" in capsys.readouterr().err
    opened = MlflowClient(older.mlflow_uri).search_runs(
        [MlflowClient(older.mlflow_uri).get_experiment_by_name(tags.PROMOTIONS).experiment_id]
    )
    assert [one.data.tags[tags.STATE] for one in opened] == ["done"]
