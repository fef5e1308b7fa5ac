"""What MLflow is told of a sweep: one parent run, one nested run a trial, one writer.

The tracker says what the ledger holds and nothing else. A run is found again by its tags (sweep id and trial
number), and a report is logged with the ledger's timestamp, which MLflow stores once however often it is sent:
so a resumed sweep goes on in the same runs, and a server that did not answer for a while is brought up to date.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from search_spaces.sweep import Sweep
from seisweep.record import tags
from seisweep.record.ledger import Exploit, Report, TrialRecord
from seisweep.record.metric_names import MetricNames
from seisweep.record.mlflow_answers import NoAnswerError, ask_at_the_start, one_line
from seisweep.record.mlflow_names import Names
from seisweep.record.mlflow_store import experiment_named, store_answers
from seisweep.record.parent_run import ParentRun
from seisweep.record.sweep_run import exploits_in_words
from seisweep.record.trial_run import TrialRuns, facts_of, is_closed
from seisweep.record.unsaid import MOST_WAITING, Files, Say, Step, Unsaid, UnsaidTrial
from seisweep.record.writing_line import WritingLine
from seisweep.settings.which_store import Store
from trainables.run import ARTIFACTS


class Tracker:
    """The one writer of a sweep's runs. Nothing it does may end the sweep: what gets no answer is said again."""

    def __init__(
        self,
        store: Store,
        sweep: Sweep,
        name: str,
        sweep_id: str,
        common_tags: Mapping[str, str],
        reports: Callable[[set[int]], Iterable[Report]] | None = None,
        *,
        best_apart: bool = False,
    ) -> None:
        """`reports`: those of these trials once more, out of the ledger, where too many wait for MLflow. `best_apart`:
        whether best and last are told apart.

        Raises ValueError where the store does not answer.
        """
        self.client = MlflowClient(tracking_uri=store.uri)
        self.uri, self.sweep, self.name = store.uri, sweep, name
        self.experiment_id = experiment_named(self.client, sweep.name, store.artifacts_uri)
        facts = dict(common_tags) | {
            tags.SWEEP: name,
            tags.SWEEP_ID: sweep_id,
            tags.KIND: sweep.name,
            tags.TRAINABLE: sweep.trainable,
        }
        self.names = MetricNames(tuple(sweep.objectives), best_apart)
        self._parent = ParentRun(
            self.client, self.experiment_id, sweep, facts, self.names, name, claims_name=not store.is_own
        )
        self._runs = TrialRuns(self.client, self.experiment_id, sweep, facts, self.names, name)
        self._reports = reports
        self._line = WritingLine(self.client)
        self._sweep = Unsaid(name)
        self._trials: dict[int, UnsaidTrial] = {}
        self._num_exploits = 0
        self._distributions: dict[str, Any] = {}

    @property
    def parent_run_id(self) -> str:
        return self._parent.run_id

    def begin(self, note: str, description: Mapping[str, Any], num_trials: int | None = None) -> None:
        """Create the parent run, or find it and the trials' runs of earlier sessions. Raises ValueError, which is a
        NameTakenError where another sweep has got the name in this moment.

        `num_trials`: of the whole sweep, None where only time bounds it.
        """
        with store_answers(self.uri):
            earlier, described = self._parent.begin(self._sweep, note, "" if num_trials is None else str(num_trials))
            if not described:
                ask_at_the_start(partial(self._parent.describe, description))
        self._sweep.run_id = self._runs.parent_run_id = self.parent_run_id
        self._runs.know(earlier)
        for run in earlier:
            number = int(run.data.tags[tags.TRIAL])
            if run.info.run_id == self._runs.run_ids[number]:
                known = self._trials[number] = UnsaidTrial(f"trial {number}", run.info.run_id, number=number)
                known.names = Names(run.data.tags.get(tags.RENAMED, ""))
                known.finished = is_closed(run)
                known.is_open = run.info.status == "RUNNING"
        self._runs.doubtful |= set(self._trials)
        if not described:
            self._line.say(self._sweep, {Step.VIEW: self._parent.view})

    def in_background(self) -> AbstractContextManager[None]:
        """While it is open, a thread writes, and nobody else waits for MLflow."""
        return self._line.in_background()

    def trial_begins(self, record: TrialRecord, config: dict[str, Any], past: Iterable[Report] = ()) -> None:
        """A trial begins or begins again. `past`: its reports of earlier sessions, some perhaps not logged."""
        number = record.number
        unsaid = self._trials.setdefault(number, UnsaidTrial(f"trial {number}", number=number))
        if unsaid.finished and not record.running:
            return
        with self._line.changed:
            unsaid.is_now(record)
            unsaid.config, unsaid.begun, unsaid.ended, unsaid.finished = config, True, False, False
            unsaid.told = (0, False)
            unsaid.wait_with(list(past), self._may_drop)
        steps: dict[Step, Say] = {Step.OPEN: partial(self._runs.open, unsaid)}
        self._line.say(unsaid, steps | self._description(unsaid) | self._news(unsaid))

    def changed(self, record: TrialRecord, config: dict[str, Any]) -> None:
        """The trial goes on with other settings: its configuration is written again."""
        unsaid = self._trials[record.number]
        if config != unsaid.config:
            unsaid.is_now(record)
            unsaid.config = config
            self._line.say(unsaid, self._description(unsaid))

    def report(self, report: Report) -> None:
        """Log a report, with the next ones where the last call was a moment ago."""
        unsaid = self._trials[report.trial]
        with self._line.changed:
            unsaid.wait_with([*unsaid.reports, report], self._may_drop)
        self._line.say(unsaid, self._news(unsaid))

    def trial_ends(self, record: TrialRecord, checkpoint: Files) -> None:
        """Log the rest, upload `artifacts/` and tags of the last checkpoint, and close the run.

        The checkpoint's files are wanted as long as `wants` says so.
        """
        unsaid = self._trials.get(record.number)
        if unsaid is None or unsaid.finished or not unsaid.begun:
            return
        unsaid.is_now(record)
        unsaid.ended, unsaid.files = True, checkpoint
        facts = None if callable(checkpoint) else facts_of(checkpoint, unsaid)
        steps: dict[Step, Say] = {
            Step.FACTS: partial(self._runs.facts, unsaid, facts),
            Step.CLOSE: partial(self._runs.end, unsaid),
        }
        if callable(checkpoint) or (checkpoint is not None and (checkpoint / ARTIFACTS).is_dir()):
            steps[Step.FILES] = partial(self._runs.files, unsaid)
            steps[Step.MODEL] = partial(self._runs.model, unsaid)
        self._line.say(unsaid, steps)

    def searched(self, distributions: Mapping[str, Any]) -> None:
        """From what the trials' settings were drawn: a file of the sweep, written where it says something new."""
        data = dict(distributions)
        if data and data != self._distributions:
            self._distributions = data
            self._line.say(self._sweep, {Step.DISTRIBUTIONS: partial(self._parent.distributions, data)})

    def exploited(self, exploits: Sequence[Exploit]) -> None:
        """Who took over from whom: a table of the sweep, and a tag of each trial that did."""
        if len(exploits) == self._num_exploits:
            return
        self._num_exploits = len(exploits)
        self._line.say(self._sweep, {Step.EXPLOITS: partial(self._parent.exploits, list(exploits))})
        for number, words in exploits_in_words(exploits).items():
            unsaid = self._trials.get(number)
            if unsaid is not None and unsaid.begun:
                self._line.say(unsaid, {Step.EXPLOITS: partial(self._runs.exploits, unsaid, words)})

    def nodes_left_out(self, nodes: Sequence[tuple[str, str]]) -> None:
        """Nodes of a cluster on which no trial ran, and why: a tag of the sweep."""
        if nodes:
            words = "; ".join(f"{node}: {reason}" for node, reason in nodes)
            self._line.say(self._sweep, {Step.NODES: partial(self._parent.nodes_left_out, self._sweep, words)})

    def end(self, state: str, best: TrialRecord | None, files: Path | None = None) -> None:
        """Close the sweep's runs: trials under way are interrupted, the parent gets the best trial's metrics.

        `files`: a folder of the sweep's own, which the parent gets under its name.
        """
        self._line.last_of_all(self._sweep)
        for unsaid in list(self._trials.values()):
            if unsaid.begun and not unsaid.ended:
                unsaid.is_now(unsaid.drivers_own or unsaid.record)
                self._line.say(unsaid, {Step.CLOSE: partial(self._runs.interrupt, unsaid)})
            elif unsaid.is_open and not unsaid.begun:  # nobody knows of this trial any more, or has come to it
                self._line.say(unsaid, {Step.CLOSE: partial(self._runs.leave, unsaid)})
        steps: dict[Step, Say] = {Step.CLOSE: partial(self._close, state)}
        if best is not None:
            time_ms = best.ended_ms or best.started_ms
            steps[Step.BEST] = partial(self._parent.best, self._sweep, best.number, self.names.of_sweep(best), time_ms)
        if files is not None:
            steps[Step.FILES] = partial(self._parent.files, self._sweep, files)
        self._line.say(self._sweep, steps)

    def wait(self, patience_s: float, say: Callable[[str], None]) -> None:
        """After the end: until MLflow has everything, has taken nothing for so long, or Ctrl-C."""
        self._line.wait(lambda: self.lacks, patience_s, say, f"`seisweep resume {self.name}` brings it there later")

    def has(self, number: int) -> bool:
        """Whether the trial's run is closed: then it is complete."""
        return number in self._trials and self._trials[number].finished

    def wants(self, number: int) -> bool:
        """Whether the files of the trial's last checkpoint are still to be uploaded."""
        return number in self._trials and not {Step.FILES, Step.MODEL}.isdisjoint(self._trials[number].due)

    @property
    def behind(self) -> int:
        """Trials whose record in MLflow lacks something."""
        return sum(bool(unsaid.due) for unsaid in list(self._trials.values()))

    @property
    def lacks(self) -> str:
        """After the end: what MLflow could not be told. Empty where it has everything that it takes."""
        if count := self.behind:
            return f"{count} trial{'s' if count > 1 else ''}"
        return "the end of the sweep" if self._sweep.due else ""

    @property
    def trouble(self) -> str:
        """Why MLflow could not be written last; empty while all is well."""
        return self._line.trouble

    @property
    def refused(self) -> list[str]:
        """One line for what has another name in MLflow, one for what it does not take; none where it takes all."""
        runs = [*self._trials.values(), self._sweep]
        renamed = {name: theirs for unsaid in runs for theirs, name in unsaid.names.renamed.items()}
        left_out = [(unsaid.name, what) for unsaid in runs for what in unsaid.left_out]
        lines = []
        if renamed:
            name, theirs = next(iter(renamed.items()))
            lines.append(
                f"names that MLflow refuses and that were changed (tag {tags.RENAMED}): {len(renamed)}, as "
                f"{name[:80]!r}, there {theirs[:80]!r}"
            )
        if left_out:
            whose, what = left_out[0]
            lines.append(
                f"left out, because MLflow refuses it (tag {tags.NOT_RECORDED}): {len(left_out)}, as {whose}, {what}"
            )
        return lines

    def _close(self, state: str) -> None:
        self._parent.end(state, has_doubts=bool(self._runs.doubtful))

    @property
    def _may_drop(self) -> bool:
        return self._reports is not None

    def _description(self, unsaid: UnsaidTrial) -> dict[Step, Say]:
        """Parameters and configuration. Once more where a session may have died in between: it changes nothing."""
        steps: dict[Step, Say] = {
            Step.PARAMS: partial(self._runs.params, unsaid),
            Step.CONFIG: partial(self._runs.config, unsaid),
            Step.INPUTS: partial(self._runs.inputs, unsaid),
        }
        return steps | ({Step.CHANGES: partial(self._runs.changes, unsaid)} if unsaid.record.changes else {})

    def _news(self, unsaid: UnsaidTrial) -> dict[Step, Say]:
        return {Step.POINTS: partial(self._points, unsaid)} if unsaid.reports or unsaid.has_more else {}

    def _points(self, unsaid: UnsaidTrial) -> None:
        """Send the reports that wait; where some found no room, so many as do out of the ledger."""
        unsaid.flushed_s = time.monotonic()
        with self._line.changed:
            reports, has_more = unsaid.reports, unsaid.has_more
            unsaid.reports, unsaid.has_more = [], False
        try:
            if has_more:
                reports = self._out_of_the_ledger(unsaid)
            self._runs.points(unsaid, reports[:MOST_WAITING] if has_more else reports)
        except (NoAnswerError, OSError):
            with self._line.changed:
                unsaid.has_more = unsaid.has_more or has_more
                unsaid.wait_with([*reports, *unsaid.reports], self._may_drop)
            raise
        with self._line.changed:
            if has_more and len(reports) > MOST_WAITING:
                unsaid.has_more, reports = True, reports[:MOST_WAITING]
                unsaid.due |= self._news(unsaid)
            if reports:
                unsaid.told = (reports[-1].epoch, reports[-1].final)

    def _out_of_the_ledger(self, unsaid: UnsaidTrial) -> list[Report]:
        assert self._reports is not None, "or no report was dropped"
        try:
            every = list(self._reports({unsaid.number}))
        except ValueError as error:  # its last line is just being written
            raise NoAnswerError(one_line(error)) from None
        return [report for report in every if (report.epoch, report.final) > unsaid.told]
