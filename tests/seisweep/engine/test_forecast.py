"""The trials that a dry run shows are those that run, whatever has come of those before them."""

from __future__ import annotations

import pytest
from seisweep.engine.forecast import FIRST, first_trials, forecast
from seisweep.engine.launch import launch
from seisweep.requested.trainable import Trainable
from seisweep.settings.profile import Profile

TOY = "toy_trainable:train"


@pytest.mark.integration
def test_the_first_trials_are_those_of_the_sweep(local_ray, engine_home, toy_sweep):
    sweep = toy_sweep(samples=FIRST, base={"training.epochs": 2}, sampler="tpe", seeds=[3])
    foreseen, num_trials = first_trials(sweep, Trainable.find(TOY))
    ran = launch(sweep, Profile(), engine_home, name="toy-1", concurrency=2)
    assert num_trials == FIRST
    assert [row.params for row in ran.rows] == [params for params, _ in foreseen]
    assert [row.seed for row in ran.rows] == [seed for _, seed in foreseen]


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii"])
def test_first_trials_do_not_depend_on_results(sampler, toy_sweep, tmp_path):
    from seisweep.engine.search import Study

    sweep = toy_sweep(samples=FIRST, sampler=sampler)
    study, params = Study(sweep, tmp_path / "journal", Trainable.find(TOY).defaults(sweep)), []
    for number in range(FIRST):
        params.append(dict(study.ask().params))
        study.study.tell(number, [number / FIRST])
    assert params == [one for one, _ in first_trials(sweep, Trainable.find(TOY))[0]]


def test_a_grid_shows_its_first_points_and_all_it_has(toy_sweep):
    sweep = toy_sweep(sampler="grid", samples=None, vary={"x": [0.1, 0.2, 0.3]}, space=None, seeds=[0, 1])
    first, num_trials = first_trials(sweep, Trainable.find(TOY))
    assert num_trials == 6
    assert [(params["x"], seed) for params, seed in first] == [(0.1, 0), (0.2, 0), (0.3, 0), (0.1, 1), (0.2, 1)]


def test_no_time_is_foretold_of_other_machines(toy_sweep, tmp_path):
    found = forecast(toy_sweep(), Trainable.find(TOY), Profile(ray_address="auto"), tmp_path)
    assert found.pace is None
    assert list(found.lines(toy_sweep())) == [
        "trials run on other machines: the first ones will show how long they take"
    ]


def test_a_step_that_fails_costs_the_estimate_alone(toy_sweep, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr("seisweep.requested.estimate.measured_pace", fails)
    found = forecast(toy_sweep(), Trainable.find(TOY), Profile(), tmp_path)
    assert list(found.lines(toy_sweep())) == ["how long a trial takes could not be measured: out of memory"]


def test_a_driver_leaves_the_gpu_to_its_trials(toy_sweep, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise AssertionError("a step was trained")

    monkeypatch.setattr("seisweep.requested.estimate.measured_pace", fails)
    found = forecast(toy_sweep(gpus_per_worker=1), Trainable.find(TOY), Profile(), tmp_path)
    assert list(found.lines(toy_sweep())) == [
        "to measure how long a trial takes on the GPU, give the same command with --dry-run"
    ]
