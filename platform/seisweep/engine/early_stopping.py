"""Who stops trials early: asynchronous successive halving on the first objective.

ASHA (Li et al. 2020, arXiv:1810.05934): of the trials that reach a rung, the best 1 / reduction_factor go on. A short
grace period is unfair to what starts slowly, a long one is expensive; asynchronous HyperBand (there, section 3.3)
does not choose: it spreads the trials over brackets, each with its own grace period and its own rungs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search_spaces.sweep import Sweep
from seisweep.private.ray import Brackets
from seisweep.record.ledger import Report
from seisweep.workers.trial import METRICS
from trainables import metrics as names

DEFAULT_EPOCHS = 100
"""Upper bound assumed where the configuration does not say how many epochs there are."""

CYCLE = 120
"""Trials after which HyperBand's brackets repeat."""


class Halving(Brackets):
    """ASHA or HyperBand that lets final reports pass, has no rung at the last epoch, and can be told of earlier
    sessions. Ray draws a trial's bracket from numpy's global state; here it follows from the trial's number."""

    def __init__(
        self, metric: str, mode: str, epochs: int, grace_epochs: int, reduction_factor: float, hyperband: bool = False
    ) -> None:
        super().__init__(
            time_attr=f"{METRICS}/{names.EPOCH}",
            metric=f"{METRICS}/{metric}",
            mode=mode,
            grace_period=grace_epochs,
            # A rung at the last epoch would stop trials that have nothing left to do but their final report. The
            # little more keeps the rung that is exactly there, which Ray's quotient of logarithms may lose.
            max_t=epochs - 1 + 1e-6,
            reduction_factor=reduction_factor,
            brackets=num_rungs(epochs, grace_epochs, reduction_factor) + 1 if hyperband else 1,
            stop_last_trials=False,
        )

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.put_into(trial.trial_id, self.bracket_of(trial.config["trial"]))

    def bracket_of(self, number: int) -> int:
        """Bracket of a trial: 0 has the shortest grace period, the last lets every trial run to its end."""
        return self._cycle[number % len(self._cycle)]

    @cached_property
    def _cycle(self) -> list[int]:
        """Brackets in HyperBand's proportion, spread evenly over a cycle of trials.

        A bracket of s rungs gets eta^s / (s + 1) shares (Li et al. 2018, arXiv:1603.06560, algorithm 1), so that each
        bracket costs about the same number of epochs.
        """
        rungs = range(self.num_brackets - 1, -1, -1)
        shares = [self.eta**s / (s + 1) for s in rungs]
        cycle: list[int] = []
        while len(cycle) < CYCLE:
            # The bracket that lags most behind its share comes next.
            lags = [share / sum(shares) * (len(cycle) + 1) - cycle.count(index) for index, share in enumerate(shares)]
            cycle.append(lags.index(max(lags)))
        return cycle

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get(f"{METRICS}/{names.FINAL}"):
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, trial, result)

    def replay(self, trial_id: str, number: int, reports: Iterable[Report]) -> None:
        """Fill the rungs with what a trial of an earlier session reported."""
        past = SimpleNamespace(trial_id=trial_id, config={"trial": number})
        self.on_trial_add(None, past)
        for report in reports:
            flat = {f"{METRICS}/{name}": value for name, value in report.metrics.items()}
            self.on_trial_result(None, past, flat)


def num_rungs(epochs: int, grace_epochs: int, reduction_factor: float) -> int:
    """Rungs before the last epoch: grace_epochs * reduction_factor^k < epochs."""
    count = 0
    while grace_epochs * reduction_factor**count < epochs:
        count += 1
    return count


def epochs_of(sweep: Sweep, defaults: dict[str, Any]) -> int:
    """Upper bound of a trial's epochs; `defaults` is the flat configuration."""
    return int(defaults.get(sweep.epochs_key) or DEFAULT_EPOCHS)
