"""What becomes of a trial that cannot go on: it fails, goes on with a smaller batch, or waits for the next session."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from seisweep.engine.parts import Parts
from seisweep.engine.stopping import StopRequest
from seisweep.private.ray import actor_of
from seisweep.record.ledger import TrialRecord
from seisweep.requested.trainable import BATCH_KEY
from seisweep.workers.faults import DIED_TWICE, DISK_FULL, Fault, disk_full_line, is_disk_full

RETRIES = 1
"""Times that a trial whose process died goes on from its last checkpoint, before it fails."""


class Recovery:
    """Decides for Tune's callback. Trials are Tune's, records the ledger's."""

    def __init__(self, parts: Parts) -> None:
        self.plan, self.ledger, self.tracker, self.watch = parts.plan, parts.ledger, parts.tracker, parts.watch
        self.checkpoints, self.free_disk = parts.checkpoints, parts.checkpoints.free_disk
        self.stop = StopRequest(None)
        """The session's own replaces it."""
        self.reasons: dict[str, str] = {}
        """Why trials fail, by Tune's id."""
        self.set_aside: set[str] = set()
        """Tune's ids of trials that ended through no fault of their own: they are open when the sweep is resumed."""
        self._tried: dict[str, Any] = {}  # Tune's trials, by its id
        self._heard_s: dict[str, float] = {}  # when a trial under way began, or reported last
        self._smaller: set[str] = set()  # those that were given a smaller batch and are about to begin again

    def began(self, trial: Any) -> None:
        self._tried[trial.trial_id] = trial
        self.heard(trial)

    def heard(self, trial: Any) -> None:
        """A trial gave a sign of life."""
        self._heard_s[trial.trial_id] = time.monotonic()

    def over(self, trial_id: str) -> None:
        self._tried.pop(trial_id, None)
        self._heard_s.pop(trial_id, None)

    def checkpoint_of(self, record: TrialRecord) -> str | None:
        """Where a trial goes on from, None for the start; where that is not its last checkpoint, a line says so."""
        place, loss = self.checkpoints.to_go_on_from(record)
        if loss:
            self.watch.log(f"trial {record.number}: {loss}")
        return place

    def fault(self, trial: Any, record: TrialRecord, fault: Fault) -> None:
        """A trial said why it cannot go on. One without memory raises next, so that its process ends."""
        if fault.kind == "disk":
            self.set_aside.add(trial.trial_id)
            self.end_for_disk(fault.reason)
        elif fault.kind == "error" or not self._try_smaller_batch(trial, record, fault):
            self._give_up(trial, fault.reason)

    def tried_again(self, trial: Any, record: TrialRecord) -> None:
        """Tune tries a trial once more: its process died, or it got a smaller batch."""
        fault = None if trial.trial_id in self._smaller else Fault.of_death(_last_error(trial))
        if fault and not self._try_smaller_batch(trial, record, fault):
            trial.config["error"] = fault.reason  # with which the next attempt ends at once
        elif trial.trial_id not in self._smaller:
            self.watch.log(f"trial {record.number}: its process died; it goes on from epoch {record.epoch}")
        self._smaller.discard(trial.trial_id)
        trial.config["resume_from"] = self.checkpoint_of(record)

    def of_death(self, trial_id: str) -> str:
        """Failure reason of a trial that died without a word."""
        fault = Fault.of_death(_last_error(self._tried[trial_id])) if trial_id in self._tried else None
        return fault.reason if fault else DIED_TWICE

    def end_hung(self, trials: list[Any]) -> None:
        """A trial that has not reported for too long fails; its processes are killed, stopped ones too."""
        limit_s = self.plan.profile.report_timeout_s
        for trial in trials if limit_s else []:
            since_s = time.monotonic() - self._heard_s.get(trial.trial_id, time.monotonic())
            if trial.status == "RUNNING" and since_s > limit_s and trial.trial_id not in self.reasons:
                self._give_up(trial, f"no report for {limit_s:g} s (--report-timeout)")
                ray.kill(actor_of(trial))

    @contextlib.contextmanager
    def disk_full_ends_the_sweep(self, trial_id: str) -> Iterator[None]:
        """A ledger or a study that cannot be written is no fault of the trial that was to be written about."""
        try:
            yield
        except OSError as error:
            if not is_disk_full(error):
                raise
            self.set_aside.add(trial_id)
            self.end_for_disk(disk_full_line(error))

    def end_for_disk(self, line: str) -> None:
        """End the sweep; where nobody said which disk is full, it is the one with the least room."""
        where = f" at {self.free_disk.fullest}" if line == DISK_FULL else ""
        self.stop.end(f"{line}{where}: free some space")

    def _give_up(self, trial: Any, reason: str) -> None:
        """The trial fails for this reason, however its process ends now, and is not tried again."""
        self.reasons[trial.trial_id] = reason
        trial.max_failures = 0

    def _try_smaller_batch(self, trial: Any, record: TrialRecord, fault: Fault) -> bool:
        """Half the batch and twice the accumulation from the last checkpoint on; False where that is not wanted
        or no longer possible. Tune is allowed one attempt more for it."""
        config = trial.config["config"]
        changes = (
            self.plan.trainable.smaller_batch(config, self.plan.resources.workers)
            if self.plan.profile.retry_oom
            else {}
        )
        if not changes:
            return False
        self.ledger.change(record.number, changes, fault.reason)
        trial.config["config"] = self.plan.configure(record)[0]
        trial.max_failures += 1
        self._smaller.add(trial.trial_id)
        self.tracker.changed(record, trial.config["config"])
        came_from = f"epoch {record.epoch}" if record.checkpoint else "the start"
        self.watch.log(
            f"trial {record.number}: {fault.reason.partition(': ')[0]}; it goes on from {came_from} with "
            f"{BATCH_KEY} {changes[BATCH_KEY]}"
        )
        return True


def _last_error(trial: Any) -> str:
    """What Ray said last about a trial; Tune appends it to a file of this machine."""
    file = trial.error_file
    text = Path(file).read_text() if file and Path(file).exists() else ""
    return text.rpartition("Failure #")[2]
