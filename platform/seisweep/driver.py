"""The driver of a sweep: what Tune tells it goes to the ledger first, then to Optuna, MLflow and the watch."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from search_spaces.sweep import Sweep
from seisweep.config import Profile
from seisweep.disk import CheckpointBudget, FreeDisk
from seisweep.faults import DIED_TWICE, Fault, disk_full_line, is_disk_full
from seisweep.ledger import EndState, Ledger, TrialRecord
from seisweep.population import Population
from seisweep.progress import State, TrialRow
from seisweep.runners import FAILURE, log_name
from seisweep.schedulers import METRICS, Halving
from seisweep.searcher import Study
from seisweep.stopping import StopRequest
from seisweep.tracking import Tracker
from seisweep.trainables import BATCH_KEY, CACHE_KEY, SEED_KEY, Trainable
from seisweep.watch import Watch
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
        self.profile, self.budget = profile, CheckpointBudget(profile.disk_budget_gb)
        self.workers = sweep.workers or profile.workers
        self.free_disk = FreeDisk([folder, *([] if "://" in storage else [Path(storage)])])
        self.stop = StopRequest(None)
        """The session's own replaces it."""
        self.mailbox: Any = None
        """The actor that frees the workers of Ray Train trials; None where trials train by themselves."""
        self._numbers: dict[str, int] = {}  # by Tune's trial id
        self._epochs: dict[int, int | None] = {}  # of trials whose own setting differs from the base's
        self._legs: dict[int, int] = {}  # how often a trial of a population began again in this session
        self._reasons: dict[str, str] = {}
        self._cut: set[str] = set()  # Tune's ids of trials that the scheduler stopped
        self._tried: dict[str, Any] = {}  # Tune's trials, by its id
        self._heard_s: dict[str, float] = {}  # when a trial under way began, or reported last
        self._set_aside: set[str] = set()  # Tune's ids of trials that end without fault of their own: resume has them
        self._smaller: set[str] = set()  # those that were given a smaller batch and are about to begin again
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
        if trial_id in self._set_aside:
            return
        with self._disk_full_ends_the_sweep(trial_id):
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
        if trial_id in self._reasons:
            return "failed", self._reasons[trial_id]
        if failed:
            fault = Fault.of_death(_last_error(self._tried[trial_id])) if trial_id in self._tried else None
            return "failed", fault.reason if fault else DIED_TWICE
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
        self._heard_s[trial.trial_id] = time.monotonic()
        self._tried[trial.trial_id] = trial
        self._show(trial.trial_id, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._heard_s[trial.trial_id] = time.monotonic()
        with self._disk_full_ends_the_sweep(trial.trial_id):
            if FAILURE in result:
                self._fault(trial, Fault(*result[FAILURE]))
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
        with self._disk_full_ends_the_sweep(trial.trial_id):
            self.ledger.checkpoint(record.number, epoch, checkpoint_place(checkpoint), final)
            self._remove_superfluous(record)
            self._keep_to_budget()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune tries a trial once more whose process died, or that got a smaller batch."""
        self._free(trial.trial_id)
        record = self.ledger.trials[self._numbers[trial.trial_id]]
        if trial.trial_id in self._smaller:
            self._smaller.discard(trial.trial_id)
        elif fault := Fault.of_death(_last_error(trial)):
            if not self._try_smaller_batch(trial, record, fault):
                trial.config["error"] = fault.reason  # with which the next attempt ends at once
            self._smaller.discard(trial.trial_id)
        else:
            self.watch.log(f"trial {record.number}: its process died; it goes on from epoch {record.epoch}")
        if record.checkpoint:
            trial.config["resume_from"] = record.checkpoint[1]

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.tracker.flush_stale()
        if full := self.free_disk.full():
            self.stop.end(full)
        self._end_hung(trials)

    # What becomes of a trial that cannot go on

    def _fault(self, trial: Any, fault: Fault) -> None:
        """A trial said why it cannot go on. One without memory raises next, so that its process ends."""
        record = self.ledger.trials[self._numbers[trial.trial_id]]
        if fault.kind == "disk":
            self._set_aside.add(trial.trial_id)
            self.stop.end(f"{fault.reason}: free some space")
        elif fault.kind == "error" or not self._try_smaller_batch(trial, record, fault):
            self._give_up(trial, fault.reason)

    def _give_up(self, trial: Any, reason: str) -> None:
        """The trial fails for this reason, however its process ends now, and is not tried again."""
        self._reasons[trial.trial_id] = reason
        trial.max_failures = 0

    def _try_smaller_batch(self, trial: Any, record: TrialRecord, fault: Fault) -> bool:
        """Half the batch and twice the accumulation from the last checkpoint on; False where that is not wanted
        or no longer possible. Tune is allowed one attempt more for it."""
        config = trial.config["config"]
        changes = self.trainable.smaller_batch(config, self.workers) if self.profile.retry_oom else {}
        if not changes:
            return False
        self.ledger.change(record.number, changes, fault.reason)
        trial.config["config"] = self.configure(record)[0]
        trial.max_failures += 1
        self._smaller.add(trial.trial_id)
        self.tracker.changed(record, trial.config["config"])
        came_from = f"epoch {record.epoch}" if record.checkpoint else "the start"
        self.watch.log(
            f"trial {record.number}: {fault.reason.partition(':')[0]}; it goes on from {came_from} with "
            f"{BATCH_KEY} {changes[BATCH_KEY]}"
        )
        return True

    def _end_hung(self, trials: list[Any]) -> None:
        """A trial that has not reported for too long fails; its processes are killed, stopped ones too."""
        limit_s = self.profile.report_timeout_s
        for trial in trials if limit_s else []:
            since_s = time.monotonic() - self._heard_s.get(trial.trial_id, time.monotonic())
            if trial.status == "RUNNING" and since_s > limit_s and trial.trial_id not in self._reasons:
                self._give_up(trial, f"no report for {limit_s:g} s (--report-timeout)")
                ray.kill(trial.temporary_state.ray_actor)  # Tune has no public way that does not wait for the trial

    @contextlib.contextmanager
    def _disk_full_ends_the_sweep(self, trial_id: str) -> Iterator[None]:
        """A ledger or a study that cannot be written is no fault of the trial: it is open when the sweep is resumed."""
        try:
            yield
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._set_aside.add(trial_id)
            self.stop.end(f"{disk_full_line(error)}: free some space")

    def _keep_to_budget(self) -> None:
        """Where checkpoints take too much, trials under way keep one; where that does not do, the sweep ends."""
        records = self.ledger.trials.values()
        if not self.budget.exceeded(place for record in records for place in record.kept):
            return
        for record in records:
            self._remove_all_but(record, record.kept[-1:])
        kept = [place for record in records for place in record.kept]
        if self.budget.exceeded(kept):
            used_gb = self.budget.used_bytes(kept) / 1e9
            self.stop.end(
                f"{len(kept)} checkpoints take {used_gb:.2g} GB, the budget is {self.budget.budget_gb:g} GB: "
                "give a larger --disk-budget, or fewer trials at a time (--concurrency)"
            )

    def _free(self, trial_id: str) -> None:
        if self.mailbox is not None:
            self.mailbox.close.remote(trial_id)

    def _close(self, trial_id: str) -> None:
        self._free(trial_id)
        self._heard_s.pop(trial_id, None)
        self._tried.pop(trial_id, None)
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
        )

    def _show(self, trial_id: str, state: State) -> None:
        self.watch.trial_update(self.row(self.ledger.trials[self._numbers[trial_id]], state))

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # what Ray pickles into its own, unused snapshot


def checkpoint_place(checkpoint: tune.Checkpoint) -> str:
    """Where a checkpoint lies, as a path or URI that `tune.Checkpoint` takes back."""
    scheme = checkpoint.filesystem.type_name
    return checkpoint.path if scheme == "local" else f"{scheme}://{checkpoint.path}"


def _last_error(trial: Any) -> str:
    """What Ray said last about a trial; Tune appends it to a file of this machine."""
    file = trial.error_file
    text = Path(file).read_text() if file and Path(file).exists() else ""
    return text.rpartition("Failure #")[2]


def remove_checkpoint(place: str) -> None:
    """Remove a checkpoint that nothing needs any more; a failure costs disk and nothing else."""
    try:
        if "://" not in place:
            shutil.rmtree(place, ignore_errors=True)
        else:
            checkpoint = tune.Checkpoint(place)
            checkpoint.filesystem.delete_dir(checkpoint.path)
    except OSError as error:
        logger.warning("checkpoint %s: %s", place, error)
