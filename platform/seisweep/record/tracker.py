"""Where a trial becomes an MLflow run: one parent run a sweep, one nested run a trial, one writer.

The tracker writes what the ledger holds and nothing else. A run is found again by its tags (sweep id and trial
number), and a report is logged with the ledger's timestamp, which MLflow stores once however often it is sent:
so a resumed sweep goes on in the same runs, and a server that did not answer for a while is brought up to date.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search_spaces.narrowing import searched_keys
from search_spaces.sweep import Sweep
from seisweep.private.mlflow import asked_once
from seisweep.record import tags
from seisweep.record.ledger import Exploit, Report, TrialRecord, finite
from seisweep.record.metric_names import MetricNames, Values
from seisweep.record.mlflow_pages import saved_view
from seisweep.record.mlflow_store import experiment_named, search_runs, store_answers
from seisweep.record.sweep_run import exploits_in_words, exploits_table, sweep_tags
from seisweep.settings.which_store import Store
from trainables import metrics as names
from trainables.run import ARTIFACTS, read_tags

RETRY_AFTER_S = 15.0
FLUSH_EVERY_S = 1.0
METRICS_A_CALL = 1000
TAG_LENGTH = 5000
STATUS = {"done": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass
class _Pending:
    """What MLflow has not yet been told about a trial."""

    record: TrialRecord
    config: dict[str, Any]
    reports: list[Report] = field(default_factory=list)
    described: bool = False
    """Its run has the parameters and the configuration."""
    flushed_s: float = 0.0
    ended: bool = False
    checkpoint: Path | None = None

    @property
    def unsaid(self) -> bool:
        return bool(self.reports or self.ended or not self.described)


class Tracker:
    """The one writer of a sweep's runs. Nothing it does may end the sweep: what fails is tried again."""

    def __init__(
        self,
        store: Store,
        sweep: Sweep,
        name: str,
        sweep_id: str,
        common_tags: Mapping[str, str],
        best_apart: bool = False,
    ) -> None:
        """Raises ValueError where the store does not answer."""
        self.names = MetricNames(tuple(sweep.objectives), best_apart)
        self.client = MlflowClient(tracking_uri=store.uri)
        self.uri, self.sweep, self.name, self.sweep_id = store.uri, sweep, name, sweep_id
        self.common_tags = dict(common_tags) | {
            tags.SWEEP: name,
            tags.SWEEP_ID: sweep_id,
            tags.KIND: sweep.name,
            tags.TRAINABLE: sweep.trainable,
        }
        self.experiment_id = experiment_named(self.client, sweep.name, store.artifacts_uri)
        self.parent_run_id = ""
        self._run_ids: dict[int, str] = {}
        self._unsure: set[int] = set()
        """Trials whose run was asked for: the server may have made it, and died before it could say so."""
        self._finished: set[int] = set()
        self._num_exploits = 0
        self._distributions: dict[str, Any] = {}
        self._pending: dict[int, _Pending] = {}
        self._silent_until_s = 0.0
        self._writing = threading.Lock()
        """Where Ray has died, another thread ends the sweep while this one may be writing."""
        self.trouble: str = ""
        """Why MLflow could not be written last; empty while all is well."""

    def begin(self, note: str, description: Mapping[str, Any], num_trials: int | None = None) -> None:
        """Create the parent run, or find it and the trials' runs of earlier sessions. Raises ValueError.

        `num_trials`: of the whole sweep, None where only time bounds it.
        """
        with store_answers(self.uri):
            self._begin(note, description, "" if num_trials is None else str(num_trials))

    def _begin(self, note: str, description: Mapping[str, Any], num_trials: str) -> None:
        described = False
        ours = f"tags.{tags.SWEEP_ID} = '{self.sweep_id}'"
        for run in search_runs(self.client, ours, self.experiment_id):
            if run.data.tags.get(tags.ROLE) == tags.SWEEP_ROLE:
                self.parent_run_id = run.info.run_id
                as_before = run.data.tags.get(tags.NUM_TRIALS, "") == num_trials
                described = run.info.status in ("FINISHED", "FAILED") and as_before
            else:
                number = int(run.data.tags[tags.TRIAL])
                self._run_ids[number] = run.info.run_id
                if run.info.status in ("FINISHED", "FAILED"):
                    self._finished.add(number)
        if self.parent_run_id:
            self._reopen(self.parent_run_id)
        else:
            self.parent_run_id = self._create_parent(note)
        if not described:  # or not known to be: the last session may have died before it had done it
            self.client.log_dict(self.parent_run_id, dict(description), tags.SWEEP_FILE)
            self.client.set_tag(self.parent_run_id, tags.NUM_TRIALS, num_trials)
            view = saved_view(self.name, self.sweep.objectives, searched_keys(self.sweep), self.names.best_apart)
            self.client.set_experiment_tag(self.experiment_id, *view)

    def _create_parent(self, note: str) -> str:
        facts = self.common_tags | sweep_tags(self.sweep, note)
        facts |= {tags.BEST_APART: "yes"} if self.names.best_apart else {}
        with asked_once():
            run = self.client.create_run(self.experiment_id, run_name=self.name, tags=_short(facts))
        return run.info.run_id

    def trial_begins(self, record: TrialRecord, config: dict[str, Any], past: Iterable[Report] = ()) -> None:
        """A trial begins or begins again. `past`: its reports of earlier sessions, some perhaps not logged."""
        if record.number in self._finished:
            return
        self._pending[record.number] = _Pending(record, config, list(past))
        if run_id := self._run_ids.get(record.number):
            self._attempt(lambda: self._reopen(run_id))
        self._flush(record.number)

    def changed(self, record: TrialRecord, config: dict[str, Any]) -> None:
        """The trial goes on with other settings: its configuration is written again with the next flush."""
        pending = self._pending[record.number]
        if config != pending.config:
            pending.record, pending.config, pending.described = record, config, False

    def searched(self, distributions: Mapping[str, Any]) -> None:
        """From what the trials' settings were drawn: a file of the sweep, written where it says something new."""
        data = dict(distributions)
        if data and data != self._distributions and self._attempt(lambda: self._write_distributions(data)):
            self._distributions = data

    def _write_distributions(self, data: dict[str, Any]) -> bool:
        self.client.log_dict(self.parent_run_id, data, tags.DISTRIBUTIONS_FILE)
        return True

    def exploited(self, exploits: Sequence[Exploit]) -> None:
        """Who took over from whom: a table of the sweep, and a tag of each trial that did."""
        if len(exploits) == self._num_exploits:
            return
        if self._attempt(lambda: self._write_exploits(exploits)) is not None:
            self._num_exploits = len(exploits)

    def _write_exploits(self, exploits: Sequence[Exploit]) -> None:
        self.client.log_text(self.parent_run_id, exploits_table(exploits), tags.EXPLOITS_FILE)
        for number, words in exploits_in_words(exploits).items():
            if number in self._run_ids:
                self.client.set_tag(self._run_ids[number], tags.EXPLOITS, words[:TAG_LENGTH])

    def report(self, report: Report) -> None:
        """Log a report, now or with the next ones if the last flush was a moment ago."""
        pending = self._pending[report.trial]
        pending.reports.append(report)
        if time.monotonic() - pending.flushed_s > FLUSH_EVERY_S:
            self._flush(report.trial)

    def trial_ends(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Log the rest, upload `artifacts/` and tags of the last checkpoint, and close the run."""
        pending = self._pending.get(record.number)
        if pending is None:
            return
        pending.record, pending.ended, pending.checkpoint = record, True, checkpoint
        self._flush(record.number)

    def flush_stale(self) -> None:
        """Write what has waited: called in every round of the driver's loop."""
        now_s = time.monotonic()
        for number, pending in list(self._pending.items()):
            if pending.unsaid and now_s - pending.flushed_s > FLUSH_EVERY_S:
                self._flush(number)

    def end(self, state: str, best: TrialRecord | None, files: Path | None = None) -> None:
        """Close the sweep's runs: trials under way are interrupted, the parent gets the best trial's metrics.

        `files`: a folder of the sweep's own, which the parent gets under its name.
        """
        self._silent_until_s = 0.0
        for number in list(self._pending):
            self._flush(number)
        self._attempt(lambda: self._close(state, best, files))

    def has(self, number: int) -> bool:
        """Whether the trial's run is closed: then it is complete."""
        return number in self._finished

    @property
    def behind(self) -> int:
        """Trials whose record in MLflow lacks something."""
        return sum(pending.unsaid for pending in self._pending.values())

    @property
    def lacks(self) -> str:
        """After the end: what MLflow could not be told. Empty where it has everything."""
        if self.behind:
            return f"{self.behind} trial{'s' if self.behind > 1 else ''}"
        return "the end of the sweep" if self.trouble else ""

    def _close(self, state: str, best: TrialRecord | None, files: Path | None) -> None:
        for number, pending in self._pending.items():
            if not pending.ended and number in self._run_ids:
                self._log_scores(self._run_ids[number], pending.record)
                self.client.set_tag(self._run_ids[number], tags.EPOCHS, str(pending.record.epoch))
                self.client.set_tag(self._run_ids[number], tags.STATE, "interrupted")
                self.client.set_terminated(self._run_ids[number], STATUS["interrupted"])
        if best is not None:
            time_ms = best.ended_ms or best.started_ms
            self.client.log_batch(
                self.parent_run_id,
                metrics=self._metrics(Values(0, time_ms, self.names.of_sweep(best))),
                tags=[RunTag(tags.BEST_TRIAL, str(best.number))],
            )
        if files is not None:
            self.client.log_artifacts(self.parent_run_id, str(files), files.name)
        self.client.set_tag(self.parent_run_id, tags.STATE, state)
        status = {"finished": "FINISHED", "failed": "FAILED"}.get(state, "KILLED")
        self.client.set_terminated(self.parent_run_id, status)

    def _reopen(self, run_id: str) -> None:
        self.client.update_run(run_id, status="RUNNING")
        self.client.set_tag(run_id, tags.STATE, "running")

    def _flush(self, number: int) -> None:
        pending = self._pending[number]
        if self._attempt(lambda: self._write(number, pending)) is not None and pending.ended:
            del self._pending[number]
            self._finished.add(number)

    def _write(self, number: int, pending: _Pending) -> bool:
        pending.flushed_s = time.monotonic()
        run_id = self._run_ids.get(number) or self._create_run(pending)
        points = [point for report in pending.reports for point in self._metrics(self.names.of_report(report))]
        for start in range(0, len(points), METRICS_A_CALL):
            self.client.log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])
        pending.reports.clear()
        if not pending.described:
            self._describe(run_id, pending)
            pending.described = True
        if pending.ended:
            self._close_trial(run_id, pending)
        return True

    def _metrics(self, told: Values) -> list[Metric]:
        """Without those that only the engine needs; objectives first, which the compare page opens with."""
        metrics, called = finite(told.metrics), self.names.column
        objectives = [shown for name in self.sweep.objectives for shown in (called(name), name)]
        shown = {name: metrics[name] for name in objectives if name in metrics} | metrics
        kept = {name: value for name, value in shown.items() if name not in (names.EPOCH, names.FINAL)}
        return [Metric(name, value, told.time_ms, told.step) for name, value in kept.items()]

    def _log_scores(self, run_id: str, record: TrialRecord) -> None:
        if told := self.names.of_end(record):
            self.client.log_batch(run_id, metrics=self._metrics(told))

    def _create_run(self, pending: _Pending) -> str:
        record = pending.record
        trial_tags = {
            tags.ROLE: tags.TRIAL_ROLE,
            tags.TRIAL: str(record.number),
            tags.SEED: str(record.seed),
            tags.STATE: "running",
            tags.PARENT: self.parent_run_id,
        }
        if record.number in self._unsure:
            wanted = f"tags.{tags.SWEEP_ID} = '{self.sweep_id}' and tags.{tags.TRIAL} = '{record.number}'"
            found = self.client.search_runs([self.experiment_id], wanted)
            if found:
                self._run_ids[record.number] = found[0].info.run_id
                return found[0].info.run_id
        self._unsure.add(record.number)
        with asked_once():
            run = self.client.create_run(
                self.experiment_id,
                start_time=record.started_ms,
                run_name=f"{self.name}-{record.number:03d}",
                tags=_short(self.common_tags | trial_tags),
            )
        self._run_ids[record.number] = run.info.run_id
        return run.info.run_id

    def _describe(self, run_id: str, pending: _Pending) -> None:
        """Parameters and configuration. Once more where a session may have died in between: it changes nothing."""
        params = dict(pending.record.proposed)  # MLflow keeps a parameter as it is
        if len(self.sweep.seeds) > 1:
            params["seed"] = pending.record.seed
        if params:
            self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
        self.client.log_dict(run_id, pending.config, tags.CONFIG_FILE)
        if changes := pending.record.changes:
            self.client.set_tag(run_id, tags.CHANGED, ", ".join(f"{key}={value}" for key, value in changes.items()))

    def _close_trial(self, run_id: str, pending: _Pending) -> None:
        record = pending.record
        self._log_scores(run_id, record)
        facts: dict[str, str] = {tags.STATE: record.state, tags.EPOCHS: str(record.epoch)}
        if record.reason:
            facts[tags.REASON] = record.reason
        if pending.checkpoint is not None:
            facts |= read_tags(pending.checkpoint)
            if (machine := pending.checkpoint / tags.HARDWARE_FILE).exists():
                facts[tags.HARDWARE] = machine.read_text()
            if (pending.checkpoint / ARTIFACTS).is_dir():
                self.client.log_artifacts(run_id, str(pending.checkpoint / ARTIFACTS))
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in _short(facts).items()])
        # The status comes last: a run that is closed is complete, one that is open is written again.
        self.client.set_terminated(run_id, STATUS[record.state], record.ended_ms)

    def _attempt(self, write: Callable[[], T]) -> T | None:
        """Do it unless MLflow failed a moment ago. None where it failed: the ledger keeps what was to be said."""
        if time.monotonic() < self._silent_until_s:
            return None
        try:
            with self._writing:
                done = write()
        except (MlflowException, OSError) as error:
            self._silent_until_s = time.monotonic() + RETRY_AFTER_S
            self.trouble = str(error).partition("\n")[0]
            logger.warning("MLflow at %s: %s", self.uri, error)
            return None
        self.trouble = ""
        return done if done is not None else True  # type: ignore[return-value]


def _short(facts: Mapping[str, str]) -> dict[str, str]:
    return {key: str(value)[:TAG_LENGTH] for key, value in facts.items()}
