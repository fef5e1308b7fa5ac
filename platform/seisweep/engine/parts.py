"""The parts of a running sweep, put together from its folder, and how far it has got."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from seisweep.engine.checkpoints import Checkpoints
from seisweep.engine.outcome import State, TrialRow, Watch
from seisweep.engine.plan import Plan
from seisweep.engine.population import Population
from seisweep.engine.schedulers import make_scheduler
from seisweep.engine.search import Study
from seisweep.engine.sweep_folder import JOURNAL_FILE, LEDGER_FILE
from seisweep.record.ledger import Ledger, TrialRecord
from seisweep.record.tracker import Tracker
from seisweep.settings import in_a_job


@dataclass
class Parts:
    """Who keeps what: the ledger everything, Optuna's study the search, the tracker MLflow's runs."""

    plan: Plan
    watch: Watch
    ledger: Ledger
    study: Study
    tracker: Tracker
    checkpoints: Checkpoints
    scheduler: TrialScheduler
    population: Population | None
    """Of population based training, else None."""

    @classmethod
    def of(cls, plan: Plan, watch: Watch) -> Parts:
        """Raises ValueError where the store does not answer."""
        sweep, launch = plan.sweep, plan.launch
        ledger = Ledger(plan.folder / LEDGER_FILE)
        population = Population(sweep, plan.defaults, ledger) if sweep.scheduler == "pbt" else None
        return cls(
            plan=plan,
            watch=watch,
            ledger=ledger,
            study=Study(sweep, plan.folder / JOURNAL_FILE, plan.defaults, launch.name),
            tracker=Tracker(
                plan.store, sweep, launch.name, launch.id, launch.tags, ledger.reports, best_apart=launch.best_apart
            ),
            checkpoints=Checkpoints(plan, ledger),
            scheduler=make_scheduler(sweep, plan.defaults, population),
            population=population,
        )

    @property
    def num_trials(self) -> int | None:
        """Trials of the whole sweep, with those it was extended by; None where only time bounds it."""
        if self.plan.sweep.sampler == "grid":
            return self.study.num_known
        return self.ledger.samples or self.plan.sweep.samples

    @property
    def num_left(self) -> int:
        """Trials to run in this session; -1 where only time bounds it."""
        return -1 if self.num_trials is None else max(0, self.num_trials - self.study.num_finished)

    @property
    def seconds_left(self) -> float | None:
        """Of the sweep's time budget; None where it has none."""
        budget_s = self.plan.sweep.time_budget_s
        return None if budget_s is None else budget_s - self.ledger.seconds_used

    @property
    def has_work(self) -> bool:
        """Whether this session has trials to run, and time to run them."""
        has_time = self.seconds_left is None or self.seconds_left > 0
        return not self.ledger.outcome and self.num_left != 0 and has_time

    @property
    def description(self) -> dict[str, Any]:
        """The launch as data, with the number of trials that it has now."""
        launch = self.plan.launch
        if self.ledger.samples is None:
            return launch.as_dict()
        return replace(launch, sweep=launch.sweep.changed(samples=self.ledger.samples)).as_dict()

    def extend(self) -> None:
        """The sweep gets as many trials more as the plan says, once, however often a job that asks for them is
        submitted. Raises ValueError where there is no time for any."""
        job = in_a_job.which()
        if job and job in self.ledger.extended_by:
            return
        if self.seconds_left is not None and self.seconds_left <= 0:
            budget_s = self.plan.sweep.time_budget_s
            raise ValueError(f"the time budget of {self.plan.name} ({budget_s:g} s) is used up")
        assert self.num_trials is not None
        self.ledger.extend(self.num_trials + self.plan.extend, job)

    def row(self, record: TrialRecord, state: State | None = None) -> TrialRow:
        """A trial as a user sees it. One under way that no process trains now is pending. One that trains shows its
        last report, any other the scores of its best weights, as results do."""
        epochs_key = self.plan.sweep.epochs_key
        state = state or ("pending" if record.running else record.state)
        shows_last = state == "running" or not self.plan.launch.best_apart
        return TrialRow(
            number=record.number,
            trial_id=f"{record.number:05d}",
            state=state,
            epoch=record.epoch,
            epochs=record.params.get(epochs_key, self.plan.defaults.get(epochs_key)),
            metrics=dict(record.metrics if shows_last else record.scores),
            params=dict(record.params),
            reason=record.reason,
            seed=record.seed,
        )
