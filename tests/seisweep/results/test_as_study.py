"""A sweep out of its record as an Optuna study: what the journal holds, without the journal and without the space."""

from __future__ import annotations

import optuna
import pytest
from seisweep import charts, results
from seisweep.engine.launch import launch
from seisweep.record import tags
from seisweep.settings.profile import Profile

from search_spaces import narrowing

SAME = ("state", "params", "distributions", "intermediate_values")


def journal_of(home, name: str) -> list[optuna.trial.FrozenTrial]:
    file = str(home.sweep_dir(name) / "study.journal")
    storage = optuna.storages.journal.JournalStorage(optuna.storages.journal.JournalFileBackend(file))
    return optuna.load_study(study_name=None, storage=storage).trials


@pytest.fixture
def no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's space function is not to be had here."""

    def gone(path: str, what: str) -> None:
        raise ValueError(f"{what} {path} cannot be loaded")

    monkeypatch.setattr(narrowing, "load_attribute", gone)


@pytest.mark.integration
def test_the_study_is_that_of_the_journal(local_ray, engine_home, toy_sweep, monkeypatch):
    vary = {"size": [1, 2, 3], "label": ["a", "b"], "sleep_s": {"low": 0.0, "high": 0.01}}
    fields = {"samples": 5, "base": {"training.epochs": 4}, "vary": vary, "grace_epochs": 1, "reduction_factor": 2}
    outcome = launch(toy_sweep(**fields), Profile(), engine_home, name="toy-1")
    assert {row.state for row in outcome.rows} == {"done", "stopped"}
    loaded = results.load("toy-1", outcome.tracking_uri)
    assert (loaded.files / tags.DISTRIBUTIONS_FILE).is_file()
    made, kept = loaded.study(), journal_of(engine_home, "toy-1")
    assert made.directions == [optuna.study.StudyDirection.MAXIMIZE]
    for mine, journal in zip(made.trials, kept, strict=True):
        for name in ("state", "params", "distributions"):
            assert getattr(mine, name) == getattr(journal, name), (mine.number, name)
        assert mine.value == pytest.approx(journal.value)
        assert mine.user_attrs["seed"] == 0
        assert len(mine.intermediate_values) == loaded.trials.loc[mine.number, "epoch"]
    complete = [trial for trial in made.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert max(complete, key=lambda trial: trial.value).number == loaded.best()


@pytest.mark.integration
def test_importances_and_coordinates_do_not_run_the_space_again(local_ray, engine_home, toy_sweep, monkeypatch):
    vary = {"size": [1, 2, 3], "sleep_s": {"low": 0.0, "high": 0.01}}
    sweep = toy_sweep(samples=6, base={"training.epochs": 1}, vary=vary, scheduler="none")
    outcome = launch(sweep, Profile(), engine_home, name="toy-1")
    with_record = results.load("toy-1", outcome.tracking_uri).importances()
    monkeypatch.setattr(narrowing, "load_attribute", lambda *_: pytest.fail("this runs the space"))
    again = results.load("toy-1", outcome.tracking_uri)
    assert again.importances().equals(with_record)
    assert charts.parallel_coordinates.applicable(again)
    charts.parallel_coordinates(again)


def test_an_older_sweep_has_a_study_too(recorded, no_space):
    """Its record says nothing of distributions, and its space is not to be had: the values say what they can."""
    loaded = results.load("many-1", recorded.mlflow_uri)
    assert loaded.distributions is None
    study = loaded.study()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", *["COMPLETE"] * 10]
    assert [trial.params for trial in study.trials] == [
        {key: value for key, value in row.items() if value == value}
        for row in loaded.trials[loaded.params].to_dict("records")
    ]
    assert len(study.best_trials) == len(loaded.pareto())
    assert loaded.importances().idxmax() == "training.learning_rate"


def test_a_grid_with_seeds_has_one_trial_for_each(recorded):
    loaded = results.load("shots-1", recorded.mlflow_uri)
    study = loaded.study()
    assert sorted({trial.user_attrs["seed"] for trial in study.trials}) == [0, 1]
    assert "seed" not in study.trials[0].params
    assert study.best_value == loaded.trials["dev/macro_f1"].max()
    assert study.trials[0].intermediate_values.keys() == {1, 2}, "the final report is not an epoch"
