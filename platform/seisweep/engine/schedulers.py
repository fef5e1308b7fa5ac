"""Where a scheduler is chosen by its name, and told what earlier sessions saw.

A new one: a class in a file of its own beside `early_stopping.py`, its name in `Sweep.scheduler`
(`search_spaces/sweep.py`), and its branch in `make_scheduler`. Where it compares trials, it has the method `replay` of
`Comparing`, or a resumed sweep would judge without its past.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search_spaces.sweep import Sweep
from seisweep.engine.early_stopping import Halving, epochs_of
from seisweep.engine.population import Barriers, Population
from seisweep.record.ledger import Ledger, Report


@runtime_checkable
class Comparing(Protocol):
    """A scheduler that holds a trial against those before it."""

    def replay(self, trial_id: str, number: int, reports: Iterable[Report]) -> None:
        """What a trial of an earlier session reported."""


def make_scheduler(sweep: Sweep, defaults: dict[str, Any], population: Population | None = None) -> TrialScheduler:
    """Who stops or changes the sweep's trials under way. `defaults` is the flat configuration, which knows the number
    of epochs; `population` is what `pbt` trains."""
    if sweep.scheduler == "pbt":
        assert population is not None
        return Barriers(population)
    epochs = epochs_of(sweep, defaults)
    grace_epochs = sweep.grace_epochs or max(1, epochs // 8)
    if sweep.scheduler == "none" or grace_epochs >= epochs:
        return FIFOScheduler()
    metric, mode = sweep.first_objective
    several = {"asha": False, "hyperband": True}[sweep.scheduler]
    return Halving(metric, mode, epochs, grace_epochs, sweep.reduction_factor, hyperband=several)


def replay_past(scheduler: TrialScheduler, ledger: Ledger) -> None:
    """Tell a scheduler of all trials that are over; those under way follow when they begin again."""
    if not isinstance(scheduler, Comparing):  # a population keeps its past in the ledger, and none has no past
        return
    over = {number for number, record in ledger.trials.items() if not record.running}
    by_trial: dict[int, list[Report]] = {number: [] for number in over}
    for report in ledger.reports(over):
        by_trial[report.trial].append(report)
    for number, reports in by_trial.items():
        scheduler.replay(f"past-{number}", number, reports)
