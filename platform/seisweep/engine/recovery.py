"""What becomes of a trial that cannot go on: it fails, goes on with a smaller batch, or waits for the next session."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from seisweep.engine.moves import Moves
from seisweep.engine.nodes import Nodes
from seisweep.engine.parts import Parts
from seisweep.engine.stopping import StopRequest
from seisweep.private.ray import actor_of
from seisweep.record.ledger import TrialRecord
from seisweep.requested.trainable import BATCH_KEY
from seisweep.workers.faults import DIED_TWICE, DISK_FULL, Fault, death_line, disk_full_line, is_disk_full

logger = logging.getLogger(__name__)


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
        self.unfinished: dict[int, str] = {}
        """Trials that no node of the cluster could run to their end, by number, and why."""
        self.moves: Moves | None = None
        """On a cluster: trials that go on on another node."""
        self._tried: dict[str, Any] = {}  # Tune's trials, by its id
        self._heard_s: dict[str, float] = {}  # when a trial under way began, or reported last
        self._smaller: set[str] = set()  # those that were given a smaller batch and are about to begin again

    def began(self, trial: Any) -> None:
        self._tried[trial.trial_id] = trial
        self.heard(trial)
        if self.moves:
            self.moves.began(trial)

    def on_nodes(self, nodes: Nodes) -> None:
        """The session runs on a cluster, on these nodes of it."""
        self.moves = Moves(nodes)
        nodes.leave.append(self.moves.leave)
        nodes.lost.append(self.moves.pardon)

    def reported(self, trial_id: str) -> None:
        """A trial trains."""
        if self.moves:
            self.moves.reported(trial_id)

    def heard(self, trial: Any) -> None:
        """A trial gave a sign of life."""
        self._heard_s[trial.trial_id] = time.monotonic()

    def over(self, trial_id: str) -> None:
        self._tried.pop(trial_id, None)
        self._heard_s.pop(trial_id, None)
        if self.moves:
            self.moves.over(trial_id)

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
        elif fault.kind == "memory":
            if not self._try_smaller_batch(trial, record, fault):
                self._give_up(trial, fault.reason)
        elif fault.kind == "storage":
            if not (self.moves and self.moves.takes(trial, fault)):  # it is that of all trials
                self.set_aside.add(trial.trial_id)
                self.stop.end(fault.reason)
        elif fault.kind == "diverged" or trial.config["error"] or not (self.moves and self.moves.takes(trial, fault)):
            self._fails_or_stays_open(trial, fault)

    def failed(self, trial: Any) -> None:
        """The process of a trial ended. Where Tune tries it again, it is not queued yet: it may be sent elsewhere."""
        if self.moves is None:
            return
        text, goes_on = _last_error(trial), trial.should_recover()
        if trial.trial_id not in self._smaller and not Fault.of_death(text):
            self.moves.of_end(trial, text)
        if goes_on:
            self.moves.before_it_is_tried_again(trial)
        elif trial.trial_id not in self.reasons and self.moves.is_of_the_node(trial.trial_id):
            self._stays_open(trial, self.moves.last_death(trial.trial_id))

    def tried_again(self, trial: Any, record: TrialRecord) -> None:
        """Tune tries a trial once more: its process died, its node is gone, or it got a smaller batch."""
        text = _last_error(trial)
        fault = None if trial.trial_id in self._smaller else Fault.of_death(text)
        if fault and not self._try_smaller_batch(trial, record, fault):
            trial.config["error"] = fault.reason  # with which the next attempt ends at once
        elif trial.trial_id not in self._smaller:
            self._say_why(trial, record, text)
        self._smaller.discard(trial.trial_id)
        trial.config["resume_from"] = self.checkpoint_of(record)

    def _say_why(self, trial: Any, record: TrialRecord, text: str) -> None:
        goes_on = f"it goes on from epoch {record.epoch}" if record.epoch else "it begins again"
        if self.moves and (why := self.moves.why(trial.trial_id)):
            self.watch.log(f"trial {record.number}: {why}; {goes_on} elsewhere")
            return
        logger.warning("trial %d: its process died: %s", record.number, text.strip())
        if self.moves is None:
            self.watch.log(f"trial {record.number}: its process died; it goes on from epoch {record.epoch}")
        elif too_often := self.moves.died_too_often(trial.trial_id):
            trial.config["error"] = too_often
        else:
            self.watch.log(
                f"trial {record.number}: its process died {self.moves.last_death(trial.trial_id)}; {goes_on}"
            )

    def of_death(self, trial_id: str) -> str:
        """Failure reason of a trial that died without a word."""
        text = _last_error(self._tried[trial_id]) if trial_id in self._tried else ""
        if fault := Fault.of_death(text):
            return fault.reason
        if self.moves and (too_often := self.moves.died_too_often(trial_id)):
            return too_often
        logger.warning("a process died: %s", text.strip())
        reason = death_line(text)
        return f"{DIED_TWICE}: {reason}" if reason else DIED_TWICE

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

    def _fails_or_stays_open(self, trial: Any, fault: Fault) -> None:
        """On a cluster a trial that lacked something on each machine that it was tried on is not over."""
        if self.moves and (fault.kind == "node" or self.moves.is_of_the_node(trial.trial_id)):
            self._stays_open(trial, fault.reason)
        else:
            self._give_up(trial, fault.reason)

    def _stays_open(self, trial: Any, reason: str) -> None:
        """It is not tried again in this session, and is when the sweep is resumed."""
        number = trial.config["trial"]
        self.set_aside.add(trial.trial_id)
        self.unfinished[number] = reason
        self.watch.log(f"trial {number} is not finished, because of the machines that it was tried on: {reason}")
        trial.max_failures = 0

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
