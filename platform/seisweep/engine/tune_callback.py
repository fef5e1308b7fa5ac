"""The driver of a sweep: what Tune tells it goes to the ledger first, then to Optuna, MLflow and the watch."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from search_spaces.sweep import Sweep
from seisweep.engine.checkpoints import CheckpointBudget, checkpoint_place, remove_checkpoint
from seisweep.engine.early_stopping import Halving
from seisweep.engine.outcome import State, TrialRow, Watch
from seisweep.engine.population import Population
from seisweep.engine.recovery import Recovery
from seisweep.engine.search import Study
from seisweep.record.ledger import EndState, Ledger, TrialRecord
from seisweep.record.tracker import Tracker
from seisweep.requested.trainable import CACHE_KEY, SEED_KEY, Trainable
from seisweep.settings.free_disk import FreeDisk
from seisweep.settings.profile import Profile
from seisweep.workers.faults import Fault
from seisweep.workers.trial import FAILURE, METRICS, log_name
from trainables import metrics as names

FETCHED = "fetched"
"""Folder of a sweep for checkpoints that came from remote storage, until MLflow has their files."""

logger = logging.getLogger(__name__)


class Driver(tune.Callback):
    """Host of the searcher and Tune's callback. Every trial has one number: in Optuna, ledger, MLflow, watch."""

    def __init__(
        self,
        sweep: Sweep,
        profile: Profile,
        trainable: Trainable,
        study: Study,
        scheduler: Any,
        ledger: Ledger,
        tracker: Tracker,
        watch: Watch,
        cache_dir: Path,
        folder: Path,
        storage: str,
        epochs: int | None,
        population: Population | None = None,
    ) -> None:
        self.sweep, self.trainable, self.study, self.scheduler = sweep, trainable, study, scheduler
        self.ledger, self.tracker, self.watch, self.cache_dir = ledger, tracker, watch, cache_dir
        self.folder, self.epochs, self.population = folder, epochs, population
        workers = sweep.workers or profile.workers
        self.free_disk = FreeDisk([folder, *([] if "://" in storage else [Path(storage)])])
        self.recovery = Recovery(profile, workers, trainable, ledger, tracker, watch, self.free_disk, self.configure)
        self.budget = CheckpointBudget(profile.disk_budget_gb)
        self.mailbox: Any = None
        """The actor that frees the workers of Ray Train trials; None where trials train by themselves."""
        self._numbers: dict[str, int] = {}  # by Tune's trial id
        self._epochs: dict[int, int | None] = {}  # of trials whose own setting differs from the base's
        self._legs: dict[int, int] = {}  # how often a trial of a population began again in this session
        self._cut: set[str] = set()  # Tune's ids of trials that the scheduler stopped
        self._seen: dict[str, tuple[int, bool]] = {}  # epoch of the last report, and whether it was the final one

    # What the searcher asks

    def propose(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's Tune config: number, parameters, whole configuration, checkpoint to go on from."""
        if self.population is None:
            return self._begin(trial_id)
        record = self.population.take()
        if record is not None or not self.population.all_begun:
            return self._begin(trial_id, record)
        return Searcher.FINISHED if self.population.all_over else None

    def _begin(self, trial_id: str, record: TrialRecord | None = None) -> dict[str, Any]:
        """A trial that the study proposes, or this one of a population once more."""
        if record is None:
            trial = self.study.ask()
            record = self.ledger.begin_trial(trial.number, dict(trial.params), self.study.seed_of(trial))
        number = self._numbers[trial_id] = record.number
        config, error = self.configure(record)
        if self.sweep.epochs_key in record.params:
            self._epochs[number] = record.params[self.sweep.epochs_key]
        leg = self._legs[number] = self._legs.get(number, -1) + 1
        past = list(self.ledger.reports({number})) if record.epoch and not leg else []
        if past and isinstance(self.scheduler, Halving):
            self.scheduler.replay(trial_id, number, past)
        if leg:
            self.tracker.changed(record, config)
        else:
            self.tracker.trial_begins(record, config, past)
        return {
            "trial": number,
            "leg": leg,
            "params": record.params,
            "config": config,
            "error": error,
            "resume_from": record.checkpoint[1] if record.checkpoint else None,
        }

    def trial_over(self, trial_id: str, failed: bool) -> None:
        """Tune is done with a trial: write down how it ended, then tell Optuna. Or it waits at a barrier."""
        record = self.ledger.trials[self._numbers[trial_id]]
        if trial_id in self.recovery.set_aside:
            return
        with self.recovery.disk_full_ends_the_sweep(trial_id):
            if record.running and self._waits(record, trial_id, failed):
                assert self.population is not None
                self.population.waiting.add(record.number)
            else:
                if record.running:
                    self.ledger.end_trial(record.number, *self._verdict(record, trial_id, failed))
                self.study.tell(record)
            self.pass_barrier()

    def _waits(self, record: TrialRecord, trial_id: str, failed: bool) -> bool:
        if self.population is None or failed or record.final or trial_id not in self._cut:
            return False
        return self.population.at_barrier(record)

    def pass_barrier(self) -> None:
        """Where all trials of a population have arrived, some take over from others, and all go on."""
        if self.population is None:
            return
        for exploit in self.population.pass_barrier():
            self.watch.log(f"trial {exploit.trial} goes on from trial {exploit.donor} after epoch {exploit.epoch}")
        self.tracker.exploited(self.ledger.exploits)

    def _verdict(self, record: TrialRecord, trial_id: str, failed: bool) -> tuple[EndState, str]:
        if trial_id in self.recovery.reasons:
            return "failed", self.recovery.reasons[trial_id]
        if failed:
            return "failed", self.recovery.of_death(trial_id)
        if self.population is not None and trial_id in self._cut and not record.final:
            return "failed", f"pbt wants a checkpoint with the report of epoch {record.epoch}, and there was none"
        missing = [metric for metric in self.sweep.objectives if metric not in record.metrics]
        if missing:
            reported = ", ".join(sorted(record.metrics)) or "nothing"
            return "failed", f"ended without reporting {missing[0]}; it reported {reported}"
        if trial_id in self._cut and not record.final:
            return "stopped", f"stopped by {self.sweep.scheduler} after epoch {record.epoch}"
        return "done", ""

    def configure(self, record: TrialRecord) -> tuple[dict[str, Any], str]:
        """The whole configuration as plain data; or an empty one and why it is refused."""
        settings = dict(self.sweep.base) | record.params | record.changes
        if self.trainable.has(SEED_KEY):
            settings.setdefault(SEED_KEY, record.seed)
        if self.trainable.config_class and self.trainable.has(CACHE_KEY):
            settings.setdefault(CACHE_KEY, str(self.cache_dir))
        try:
            return self.trainable.dump(settings), ""
        except ValueError as error:
            return {}, str(error)

    # What Tune calls

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.recovery.began(trial)
        self._show(trial.trial_id, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.recovery.heard(trial)
        with self.recovery.disk_full_ends_the_sweep(trial.trial_id):
            if FAILURE in result:
                record = self.ledger.trials[self._numbers[trial.trial_id]]
                self.recovery.fault(trial, record, Fault(*result[FAILURE]))
            else:
                self._result(trial, result)

    def _result(self, trial: Any, result: dict[str, Any]) -> None:
        metrics = result[METRICS]
        if self.population is not None and not metrics.get(names.FINAL):
            metrics = metrics | self.population.settings(self.ledger.trials[self._numbers[trial.trial_id]])
        self._seen[trial.trial_id] = int(metrics[names.EPOCH]), bool(metrics.get(names.FINAL))
        report = self.ledger.report(self._numbers[trial.trial_id], metrics)
        if result.get("done"):  # Tune sets it on the report at which the scheduler stops a trial
            self._cut.add(trial.trial_id)
        if report:
            self.tracker.report(report)
            self._show(trial.trial_id, "running")

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        record = self.ledger.trials[self._numbers[trial.trial_id]]
        epoch, final = self._seen.get(trial.trial_id, (0, False))
        with self.recovery.disk_full_ends_the_sweep(trial.trial_id):
            self.ledger.checkpoint(record.number, epoch, checkpoint_place(checkpoint), final)
            self._remove_superfluous(record)
            self._keep_to_budget()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._free(trial.trial_id)
        self.recovery.tried_again(trial, self.ledger.trials[self._numbers[trial.trial_id]])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.tracker.flush_stale()
        if full := self.free_disk.full():
            self.recovery.stop.end(full)
        self.recovery.end_hung(trials)

    def _keep_to_budget(self) -> None:
        """Where checkpoints take too much, trials under way keep one; where that does not do, the sweep ends."""
        records = self.ledger.trials.values()
        if not self.budget.exceeded(place for record in records for place in record.kept):
            return
        for record in records:
            self._remove_all_but(record, record.kept[-1:])
        kept = {place for record in records for place in record.kept}  # one may be shared
        if self.budget.exceeded(kept):
            used_gb = self.budget.used_bytes(kept) / 1e9
            self.recovery.stop.end(
                f"{len(kept)} checkpoints take {used_gb:.2g} GB, the budget is {self.budget.budget_gb:g} GB: "
                "give a larger --disk-budget, or fewer trials at a time (--concurrency)"
            )

    def _free(self, trial_id: str) -> None:
        if self.mailbox is not None:
            self.mailbox.close.remote(trial_id)

    def _close(self, trial_id: str) -> None:
        self._free(trial_id)
        self.recovery.over(trial_id)
        record = self.ledger.trials[self._numbers[trial_id]]
        if record.running:  # set aside, or waiting at a barrier
            self._show(trial_id, "pending")
            return
        self.close_trial(record)
        self._show(trial_id, record.state)
        log = self.folder / "logs" / log_name(record.number)
        if record.state == "failed" and log.exists():
            self.watch.log(f"  its log: {log}")

    def close_trial(self, record: TrialRecord) -> None:
        """Hand the last checkpoint's files to MLflow, then keep that checkpoint only of a trial that is done."""
        self.tracker.trial_ends(record, self._fetch(record.checkpoint[1]) if record.checkpoint else None)
        self._remove_superfluous(record)

    def _fetch(self, place: str) -> Path | None:
        """The checkpoint as a folder of this machine; None where it is gone."""
        if "://" not in place:
            return Path(place) if Path(place).is_dir() else None
        try:
            return Path(tune.Checkpoint(place).to_directory(str(self.folder / FETCHED / uuid.uuid4().hex)))
        except OSError as error:
            logger.warning("checkpoint %s: %s", place, error)
            return None

    def _remove_superfluous(self, record: TrialRecord) -> None:
        self._remove_all_but(record, record.kept)

    def _remove_all_but(self, record: TrialRecord, kept: list[str]) -> None:
        for _, place in record.checkpoints:
            if place not in kept and not self.ledger.shared(place, record):
                remove_checkpoint(place)
        record.checkpoints = [(epoch, place) for epoch, place in record.checkpoints if place in kept]

    # What the user sees

    def row(self, record: TrialRecord, state: State | None = None) -> TrialRow:
        return TrialRow(
            number=record.number,
            trial_id=f"{record.number:05d}",
            state=state or record.state,
            epoch=record.epoch,
            epochs=self._epochs.get(record.number, self.epochs),
            metrics=dict(record.metrics),
            params=dict(record.params),
            reason=record.reason,
            seed=record.seed,
        )

    def _show(self, trial_id: str, state: State) -> None:
        self.watch.trial_update(self.row(self.ledger.trials[self._numbers[trial_id]], state))

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # what Ray pickles into its own, unused snapshot
