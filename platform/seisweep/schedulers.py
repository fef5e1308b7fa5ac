"""Who stops trials early: asynchronous successive halving on the first objective.

ASHA (Li et al. 2020, arXiv:1810.05934): of the trials that reach a rung, the best 1 / reduction_factor go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from search_spaces.sweep import Sweep
from seisweep.ledger import Ledger, Report
from trainables import metrics as names

METRICS = "metrics"
"""Key of a Tune result under which a trial's own metrics lie, so that none collides with Tune's."""

DEFAULT_EPOCHS = 100
"""Upper bound assumed where the configuration does not say how many epochs there are."""


class Halving(ASHAScheduler):
    """ASHA that lets final reports pass, has no rung at the last epoch, and can be told of earlier sessions."""

    def __init__(self, metric: str, mode: str, epochs: int, grace_epochs: int, reduction_factor: float) -> None:
        super().__init__(
            time_attr=f"{METRICS}/{names.EPOCH}",
            metric=f"{METRICS}/{metric}",
            mode=mode,
            grace_period=grace_epochs,
            # A rung at the last epoch would stop trials that have nothing left to do but their final report.
            max_t=epochs - 1,
            reduction_factor=reduction_factor,
            stop_last_trials=False,
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get(f"{METRICS}/{names.FINAL}"):
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, trial, result)

    def replay(self, trial_id: str, reports: Iterable[Report]) -> None:
        """Fill the rungs with what a trial of an earlier session reported."""
        past = SimpleNamespace(trial_id=trial_id)
        self.on_trial_add(None, past)
        for report in reports:
            flat = {f"{METRICS}/{name}": value for name, value in report.metrics.items()}
            self.on_trial_result(None, past, flat)


def make_scheduler(sweep: Sweep, defaults: dict[str, Any]) -> TrialScheduler:
    """The sweep's scheduler; `defaults` is the flat configuration, which knows the number of epochs."""
    epochs = int(defaults.get(sweep.epochs_key) or DEFAULT_EPOCHS)
    grace_epochs = sweep.grace_epochs or max(1, epochs // 8)
    if sweep.scheduler == "none" or grace_epochs >= epochs:
        return FIFOScheduler()
    metric, mode = sweep.first_objective
    return Halving(metric, mode, epochs, grace_epochs, sweep.reduction_factor)


def replay_past(scheduler: TrialScheduler, ledger: Ledger) -> None:
    """Tell a scheduler of all trials that are over; those under way follow when they begin again."""
    if not isinstance(scheduler, Halving):
        return
    over = {number for number, record in ledger.trials.items() if not record.running}
    by_trial: dict[int, list[Report]] = {number: [] for number in over}
    for report in ledger.reports(over):
        by_trial[report.trial].append(report)
    for number, reports in by_trial.items():
        scheduler.replay(f"past-{number}", reports)
