"""Early stopping: bad trials at a rung, never a final report, and rungs that remember earlier sessions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler
from seisweep.engine.early_stopping import Halving
from seisweep.record.ledger import Report


def result(epoch, value, final=0):
    return {"metrics/epoch": epoch, "metrics/dev/f1": value, "metrics/final": final}


def run(scheduler, name, epoch, value, final=0, number=0):
    trial = SimpleNamespace(trial_id=name, config={"trial": number})
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


def rungs(scheduler):
    return [sorted(milestone for milestone, _ in bracket._rungs) for bracket in scheduler._brackets]


def test_asha_has_every_rung_before_the_last_epoch():
    assert rungs(Halving("dev/f1", "max", epochs=244, grace_epochs=1, reduction_factor=3)) == [[1, 3, 9, 27, 81, 243]]
    assert rungs(Halving("dev/f1", "max", epochs=243, grace_epochs=1, reduction_factor=3)) == [[1, 3, 9, 27, 81]]


def test_hyperband_has_brackets_of_longer_and_longer_grace():
    scheduler = Halving("dev/f1", "max", epochs=28, grace_epochs=1, reduction_factor=3, hyperband=True)
    assert rungs(scheduler) == [[1, 3, 9, 27], [3, 9, 27], [9, 27], [27], []]
    in_bracket = [scheduler.bracket_of(number) for number in range(120)]
    shares = [81 / 5, 27 / 4, 9 / 3, 3 / 2, 1]
    for bracket, share in enumerate(shares):
        assert in_bracket.count(bracket) == pytest.approx(120 * share / sum(shares), abs=1)
    assert set(in_bracket[:8]) == {0, 1, 2}, "a short sweep has long grace periods too"


def test_a_trial_keeps_its_bracket_and_is_judged_in_it():
    first, later = (
        Halving("dev/f1", "max", epochs=9, grace_epochs=1, reduction_factor=3, hyperband=True) for _ in range(2)
    )
    assert [first.bracket_of(n) for n in range(50)] == [later.bracket_of(n) for n in range(50)]
    short = next(n for n in range(50) if first.bracket_of(n) == 0)
    long = next(n for n in range(50) if first.bracket_of(n) == 1)
    later.replay("past-0", short, [Report(short, 1, False, {"epoch": 1, "dev/f1": 0.9}, 0)])
    assert run(later, "long", 1, 0.1, number=long) == TrialScheduler.CONTINUE
    assert run(later, "short", 1, 0.1, number=short) == TrialScheduler.STOP


@pytest.mark.parametrize(("epochs", "grace"), [(2, 1), (3, 1), (3, 2), (4, 2), (8, 1), (9, 2), (27, 3), (50, 6)])
def test_the_last_epoch_is_no_rung(epochs, grace):
    scheduler = Halving("dev/f1", "max", epochs=epochs, grace_epochs=grace, reduction_factor=2)
    run(scheduler, "good", epochs, 0.9)
    for epoch in range(1, epochs):
        run(scheduler, "late", epoch, 0.99)  # passes every rung
    assert run(scheduler, "late", epochs, 0.0) == TrialScheduler.CONTINUE
