"""The driver of a sweep: what Tune tells it goes to the ledger first, then to Optuna, MLflow and the watch."""

from __future__ import annotations

import logging
import shutil
import uuid
from pathlib import Path
from typing import Any

from ray import tune

from search_spaces.sweep import Sweep
from seisweep.ledger import EndState, Ledger, TrialRecord
from seisweep.runners import FAILURE, log_name
from seisweep.schedulers import METRICS, Halving
from seisweep.searcher import Study
from seisweep.tracking import Tracker
from seisweep.trainables import CACHE_KEY, SEED_KEY, Trainable
from seisweep.watch import State, TrialRow, Watch
from trainables import metrics as names

FETCHED = "fetched"
"""Folder of a sweep for checkpoints that came from remote storage, until MLflow has their files."""

logger = logging.getLogger(__name__)


class Driver(tune.Callback):
    """Host of the searcher and Tune's callback. Every trial has one number: in Optuna, ledger, MLflow, watch."""

    def __init__(
        self,
        sweep: Sweep,
        trainable: Trainable,
        study: Study,
        scheduler: Any,
        ledger: Ledger,
        tracker: Tracker,
        watch: Watch,
        cache_dir: Path,
        folder: Path,
        epochs: int | None,
    ) -> None:
        self.sweep, self.trainable, self.study, self.scheduler = sweep, trainable, study, scheduler
        self.ledger, self.tracker, self.watch, self.cache_dir = ledger, tracker, watch, cache_dir
        self.folder, self.epochs = folder, epochs
        self.mailbox: Any = None
        """The actor that frees the workers of Ray Train trials; None where trials train by themselves."""
        self._numbers: dict[str, int] = {}  # by Tune's trial id
        self._epochs: dict[int, int | None] = {}  # of trials whose own setting differs from the base's
        self._reasons: dict[str, str] = {}
        self._cut: set[str] = set()  # Tune's ids of trials that the scheduler stopped
        self._seen: dict[str, tuple[int, bool]] = {}  # epoch of the last report, and whether it was the final one

    # What the searcher asks

    def propose(self, trial_id: str) -> dict[str, Any]:
        """The next trial's Tune config: number, parameters, whole configuration, checkpoint to go on from."""
        trial = self.study.ask()
        number, seed = trial.number, self.study.seed_of(trial)
        self._numbers[trial_id] = number
        record = self.ledger.begin_trial(number, dict(trial.params), seed)
        config, error = self.configure(record)
        if self.sweep.epochs_key in record.params:
            self._epochs[number] = record.params[self.sweep.epochs_key]
        past = list(self.ledger.reports({number})) if record.epoch else []
        if past and isinstance(self.scheduler, Halving):
            self.scheduler.replay(trial_id, past)
        self.tracker.trial_begins(record, config, past)
        return {
            "trial": number,
            "params": record.params,
            "config": config,
            "error": error,
            "resume_from": record.checkpoint[1] if record.checkpoint else None,
        }

    def trial_over(self, trial_id: str, failed: bool) -> None:
        """Tune is done with a trial: write down how it ended, then tell Optuna."""
        record = self.ledger.trials[self._numbers[trial_id]]
        if record.running:
            self.ledger.end_trial(record.number, *self._verdict(record, trial_id, failed))
        self.study.tell(record)

    def _verdict(self, record: TrialRecord, trial_id: str, failed: bool) -> tuple[EndState, str]:
        if trial_id in self._reasons:
            return "failed", self._reasons[trial_id]
        if failed:
            return "failed", "its process died twice; see the log of the sweep"
        missing = [metric for metric in self.sweep.objectives if metric not in record.metrics]
        if missing:
            reported = ", ".join(sorted(record.metrics)) or "nothing"
            return "failed", f"ended without reporting {missing[0]}; it reported {reported}"
        if trial_id in self._cut and not record.final:
            return "stopped", f"stopped by {self.sweep.scheduler} after epoch {record.epoch}"
        return "done", ""

    def configure(self, record: TrialRecord) -> tuple[dict[str, Any], str]:
        """The whole configuration as plain data; or an empty one and why it is refused."""
        settings = dict(self.sweep.base) | record.params
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
        self._show(trial.trial_id, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if FAILURE in result:
            self._reasons[trial.trial_id] = result[FAILURE]
            return
        metrics = result[METRICS]
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
        self.ledger.checkpoint(record.number, epoch, checkpoint_place(checkpoint), final)
        self._remove_superfluous(record)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._free(trial.trial_id)
        record = self.ledger.trials[self._numbers[trial.trial_id]]
        if record.checkpoint:
            trial.config["resume_from"] = record.checkpoint[1]
        self.watch.log(f"trial {record.number}: its process died; it goes on from epoch {record.epoch}")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._close(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.tracker.flush_stale()

    def _free(self, trial_id: str) -> None:
        if self.mailbox is not None:
            self.mailbox.close.remote(trial_id)

    def _close(self, trial_id: str) -> None:
        self._free(trial_id)
        record = self.ledger.trials[self._numbers[trial_id]]
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
        kept = record.kept
        for _, place in record.checkpoints:
            if place not in kept:
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
