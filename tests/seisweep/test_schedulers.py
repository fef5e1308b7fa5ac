"""Early stopping: bad trials at a rung, never a final report, and rungs that remember earlier sessions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from seisweep.ledger import Ledger
from seisweep.schedulers import Halving, make_scheduler, replay_past


def result(epoch, value, final=0):
    return {"metrics/epoch": epoch, "metrics/dev/f1": value, "metrics/final": final}


def run(scheduler, name, epoch, value, final=0):
    trial = SimpleNamespace(trial_id=name)
    if name not in scheduler._trial_info:
        scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, result(epoch, value, final))


def test_the_worst_are_stopped_at_a_rung():
    scheduler = Halving("dev/f1", "max", epochs=9, grace_epochs=2, reduction_factor=2)
    assert run(scheduler, "good", 2, 0.9) == TrialScheduler.CONTINUE
    assert run(scheduler, "bad", 1, 0.1) == TrialScheduler.CONTINUE
    assert run(scheduler, "bad", 2, 0.1) == TrialScheduler.STOP


def test_final_reports_pass():
    scheduler = Halving("dev/f1", "max", epochs=9, grace_epochs=2, reduction_factor=2)
    run(scheduler, "good", 2, 0.9)
    assert run(scheduler, "bad", 2, 0.1, final=1) == TrialScheduler.CONTINUE


@pytest.mark.parametrize(("epochs", "grace"), [(2, 1), (3, 1), (3, 2), (4, 2), (8, 1), (9, 2), (27, 3), (50, 6)])
def test_the_last_epoch_is_no_rung(epochs, grace):
    scheduler = Halving("dev/f1", "max", epochs=epochs, grace_epochs=grace, reduction_factor=2)
    run(scheduler, "good", epochs, 0.9)
    for epoch in range(1, epochs):
        run(scheduler, "late", epoch, 0.99)  # passes every rung
    assert run(scheduler, "late", epochs, 0.0) == TrialScheduler.CONTINUE


def test_small_is_better_where_the_sweep_says_so(toy_sweep):
    scheduler = make_scheduler(toy_sweep(objectives={"dev/loss": "min"}, grace_epochs=1), {"training.epochs": 8})
    trial = SimpleNamespace(trial_id="a")
    scheduler.on_trial_add(None, trial)
    scheduler.on_trial_result(None, trial, {"metrics/epoch": 1, "metrics/dev/loss": 0.1})
    other = SimpleNamespace(trial_id="b")
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
