"""The scheduler that a sweep names, and what a resumed one knows of earlier sessions."""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from seisweep.engine.population import Barriers, Population
from seisweep.engine.schedulers import make_scheduler, replay_past
from seisweep.record.ledger import Ledger


def run(scheduler, name, epoch, value):
    trial = SimpleNamespace(trial_id=name, config={"trial": 0})
    scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, {"metrics/epoch": epoch, "metrics/dev/f1": value})


def test_small_is_better_where_the_sweep_says_so(toy_sweep):
    scheduler = make_scheduler(toy_sweep(objectives={"dev/loss": "min"}, grace_epochs=1), {"training.epochs": 8})
    trial = SimpleNamespace(trial_id="a", config={"trial": 0})
    scheduler.on_trial_add(None, trial)
    scheduler.on_trial_result(None, trial, {"metrics/epoch": 1, "metrics/dev/loss": 0.1})
    other = SimpleNamespace(trial_id="b", config={"trial": 1})
    scheduler.on_trial_add(None, other)
    stop = scheduler.on_trial_result(None, other, {"metrics/epoch": 1, "metrics/dev/loss": 0.9})
    assert stop == TrialScheduler.STOP


def test_no_early_stopping_where_none_is_wanted(toy_sweep):
    assert isinstance(make_scheduler(toy_sweep(scheduler="none"), {"training.epochs": 8}), FIFOScheduler)
    assert isinstance(make_scheduler(toy_sweep(), {"training.epochs": 1}), FIFOScheduler)
    assert isinstance(make_scheduler(toy_sweep(grace_epochs=9), {"training.epochs": 8}), FIFOScheduler)


def test_rungs_remember_an_earlier_session(toy_sweep, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin_trial(0, {}, 0)
    for epoch in (1, 2):
        ledger.report(0, {"epoch": epoch, "dev/f1": 0.9})
    ledger.end_trial(0, "done")
    scheduler = make_scheduler(toy_sweep(grace_epochs=2, reduction_factor=2), {"training.epochs": 8})
    replay_past(scheduler, ledger)
    assert run(scheduler, "new", 2, 0.1) == TrialScheduler.STOP


def test_a_population_is_compared_at_its_barriers_and_has_no_rungs(toy_sweep, tmp_path):
    sweep = toy_sweep(scheduler="pbt", samples=4)
    population = Population(sweep, {"training.epochs": 8}, Ledger(tmp_path / "ledger.jsonl"))
    assert isinstance(make_scheduler(sweep, {"training.epochs": 8}, population), Barriers)
