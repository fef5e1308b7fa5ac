"""Population based training: whoever lags takes over a leader's weights and a perturbed copy of its settings.

Jaderberg et al. 2017 (arXiv:1711.09846), truncation selection, in step: at every barrier (each so many epochs) all
trials of the sweep are compared at the same epoch. So the outcome hangs on the seed alone and not on which trial was
faster, and a trial's epochs are counted on whatever it takes over. A population may be larger than what runs at a
time: a trial that has reached the barrier ends for Ray Tune, and begins again behind it, as if it were resumed.

The state is in the ledger: barriers passed, exploits, and each trial's parameters and checkpoints.
"""

from __future__ import annotations

import math
import random
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search_spaces.narrowing import searched_keys
from search_spaces.perturbation import perturb, perturbed_keys
from search_spaces.sweep import Sweep
from seisweep.engine.early_stopping import epochs_of
from seisweep.record import tags
from seisweep.record.ledger import Exploit, Ledger, TrialRecord
from seisweep.statistics.objective import Objective
from seisweep.workers.trial import METRICS
from trainables import metrics as names

QUANTILE = 0.25
"""Share of the population that is replaced, and share that it is replaced by."""


class Population:
    """Which trials may run, and who takes over from whom. Raises ValueError where the sweep has nothing to change."""

    def __init__(self, sweep: Sweep, defaults: dict[str, Any], ledger: Ledger) -> None:
        assert sweep.samples is not None
        self.sweep, self.ledger, self.size = sweep, ledger, sweep.samples
        self.objective = Objective.first(sweep.objectives)
        self.keys = perturbed_keys(sweep)
        self.epochs = epochs_of(sweep, defaults)
        self.interval = interval_epochs(sweep, self.epochs)
        self.waiting = {record.number for record in ledger.trials.values() if record.running}
        """Trials under way that no process trains now."""

    @property
    def barrier(self) -> float:
        """Epoch at which every trial waits for the others; infinite behind the last one."""
        following = self.ledger.barrier + self.interval
        return following if following < self.epochs else math.inf

    def at_barrier(self, record: TrialRecord) -> bool:
        return record.checkpoint is not None and record.checkpoint[0] >= self.barrier

    def take(self) -> TrialRecord | None:
        """The next trial that waits and need not, which now runs."""
        for record in (self.ledger.trials[number] for number in sorted(self.waiting)):
            if record.running and not self.at_barrier(record):
                self.waiting.remove(record.number)
                return record
        return None

    @property
    def all_begun(self) -> bool:
        return len(self.ledger.trials) >= self.size

    @property
    def all_over(self) -> bool:
        return self.all_begun and not any(record.running for record in self.ledger.trials.values())

    def pass_barrier(self) -> list[Exploit]:
        """Once all have arrived, the worst take over from the best. Returns who did."""
        running = [record for record in self.ledger.trials.values() if record.running]
        arrived = [record for record in running if self.at_barrier(record)]
        if not self.all_begun or not arrived or len(arrived) < len(running):
            return []
        known = len(self.ledger.exploits)
        with self.ledger.grouped():  # no trial goes on before all of it is written
            for record, donor in self.pairs(arrived):
                self._exploit(record, donor)
            self.ledger.pass_barrier(self.ledger.barrier + self.interval)
        return self.ledger.exploits[known:]

    def pairs(self, arrived: list[TrialRecord]) -> list[tuple[TrialRecord, TrialRecord]]:
        """The worst quarter, each with one of the best quarter, drawn by seed, barrier and trial."""
        ranked = sorted(arrived, key=lambda record: (self._score(record), -record.number))
        count = min(math.ceil(len(ranked) * QUANTILE), len(ranked) // 2)
        best = ranked[len(ranked) - count :]
        return [(record, self._random(record).choice(best)) for record in ranked[:count]]

    def _exploit(self, record: TrialRecord, donor: TrialRecord) -> None:
        """Take over, unless it was done before the last session died, or there is nothing to gain."""
        assert donor.checkpoint is not None
        assert record.checkpoint is not None
        epoch, place = donor.checkpoint
        done = any(exploit.trial == record.number and exploit.epoch == epoch for exploit in self.ledger.exploits)
        if done or epoch != record.epoch or self._score(donor) <= self._score(record):
            return
        params = perturb(self.sweep, donor.params, self.keys, self._seed(record))
        self.ledger.exploit(record.number, donor.number, epoch, params, place)

    def _score(self, record: TrialRecord) -> float:
        """More is better; minus infinity without a value."""
        return -self.objective.loss(record.metrics.get(self.objective.metric))

    def _seed(self, record: TrialRecord) -> str:
        return f"{self.sweep.seeds[0]} {self.ledger.barrier} {record.number}"

    def _random(self, record: TrialRecord) -> random.Random:
        return random.Random(f"donor {self._seed(record)}")

    def settings(self, record: TrialRecord) -> dict[str, float]:
        """The settings that change under way, as metrics of an epoch's report."""
        numbers = {key: record.params.get(key) for key in self.keys}
        return {f"{tags.PBT}{key}": float(value) for key, value in numbers.items() if isinstance(value, int | float)}


class Barriers(FIFOScheduler):
    """Ends a Tune trial at the barrier; its training goes on in another one."""

    def __init__(self, population: Population) -> None:
        super().__init__()
        self.population = population

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get(f"{METRICS}/{names.FINAL}"):
            return TrialScheduler.CONTINUE
        epoch = result.get(f"{METRICS}/{names.EPOCH}", 0)
        return TrialScheduler.STOP if epoch >= self.population.barrier else TrialScheduler.CONTINUE

    def __reduce__(self) -> tuple[Any, ...]:
        return FIFOScheduler, ()  # what Ray pickles into its own, unused snapshot


def interval_epochs(sweep: Sweep, epochs: int) -> int:
    """Epochs between two barriers: an eighth of all where the sweep does not say it."""
    return sweep.perturbation_epochs or max(1, epochs // 8)


def check_population(sweep: Sweep, defaults: dict[str, Any]) -> None:
    """The sweep can be trained as a population. Raises ValueError in one line."""
    perturbed_keys(sweep)
    if sweep.epochs_key in searched_keys(sweep):
        raise ValueError(f"pbt compares trials at the same epoch: {sweep.epochs_key} cannot be searched")
    epochs = epochs_of(sweep, defaults)
    if interval_epochs(sweep, epochs) >= epochs:
        raise ValueError(
            f"pbt compares trials every {interval_epochs(sweep, epochs)} epochs and each has {epochs}: "
            f"no settings would change; take more epochs ({sweep.epochs_key}) or a smaller perturbation_epochs"
        )
