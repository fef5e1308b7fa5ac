"""How one trial is written into MLflow: its run found or made, then step by step what is unsaid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from search_spaces.sweep import Sweep
from seisweep.record import tags
from seisweep.record.data_of_trial import inputs_of, log_inputs
from seisweep.record.ledger import Report, finite
from seisweep.record.metric_names import MetricNames, Values, is_said_at_the_end
from seisweep.record.mlflow_answers import NoAnswerError, RefusedError, ask, is_refusal, one_line, send
from seisweep.record.mlflow_files import upload, upload_json
from seisweep.record.mlflow_names import MOST_OF_A_PARAMETER, Names, allowed_name, step, text
from seisweep.record.mlflow_store import runs_of_experiment
from seisweep.record.model_of_trial import log_model, model_file
from seisweep.record.unsaid import Unsaid, UnsaidTrial
from trainables import metrics as names
from trainables.run import ARTIFACTS, TAGS, read_tags

METRICS_A_CALL = 1000
OTHERS_A_CALL = 100
STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED", "interrupted": "KILLED"}
CLOSED = ("FINISHED", "FAILED")
IDENTITY = (
    tags.ROLE, tags.SWEEP, tags.SWEEP_ID, tags.KIND, tags.TRIAL, tags.SEED, tags.STATE, tags.PARENT, tags.OBJECTIVES,
    tags.BEST_APART,
)  # fmt: skip
"""Tags by which a run is found, and without which its sweep cannot be read: all of them short and plain."""


def is_closed(run: Run) -> bool:
    """Whether the run is complete: its trial is over. One that was stopped early is killed for MLflow, as one that was
    interrupted; earlier versions had it finished."""
    return run.info.status in CLOSED or (run.info.status == "KILLED" and run.data.tags.get(tags.STATE) == "stopped")


class GoneError(RefusedError):
    """The run itself was deleted in MLflow, or cannot be made."""


@dataclass(eq=False)
class Writer:
    """What trials' runs and the sweep's own have in common. All raise NoAnswerError or RefusedError."""

    client: MlflowClient
    experiment_id: str
    sweep: Sweep
    common_tags: Mapping[str, str]
    called: MetricNames
    name: str
    """Of the sweep."""

    def create(self, unsaid: Unsaid, name: str, facts: Mapping[str, str], start_ms: int | None = None) -> str:
        """A new run's id. A call that gets no answer may have made one: it is not repeated, and raises as it likes."""
        create = partial(self.client.create_run, self.experiment_id, start_time=start_ms, run_name=name)
        every = {**self.common_tags, **facts}
        try:
            run = create(tags=said(every))
        except Exception as error:
            if not is_refusal(error):
                raise
            unsaid.leave_out("tags of machine, user, versions and data", one_line(error))
            run = create(tags=said({key: every[key] for key in IDENTITY if key in every}))
        if not run.info.run_id:
            raise NoAnswerError("the answer was not a run")
        return run.info.run_id

    def tell(self, unsaid: Unsaid, what: str, items: Sequence[Any], a_call: int = OTHERS_A_CALL) -> None:
        """Metrics, params or tags of a run; those that are refused are left out."""

        def write(part: Sequence[Any]) -> None:
            batch: dict[str, Any] = {what: part}
            self.client.log_batch(unsaid.run_id, **batch)

        try:
            if items:
                ask(partial(write, items[:a_call]))
        except RefusedError:
            self._check_that_it_is_there(unsaid.run_id)
        else:
            items = items[a_call:]
        for item, reason in send(write, items, a_call):
            unsaid.leave_out(f"{what.removesuffix('s')} {item.key}", reason)

    def _check_that_it_is_there(self, run_id: str) -> None:
        """Raises GoneError, before everything that is said of a deleted run is refused one by one."""
        try:
            gone = ask(partial(self.client.get_run, run_id)).info.lifecycle_stage == "deleted"
        except RefusedError:
            gone = True
        if gone:
            raise GoneError("its run was deleted in MLflow")

    def reopen(self, run_id: str) -> None:
        ask(partial(self.client.update_run, run_id, status="RUNNING"))
        ask(partial(self.client.set_tag, run_id, tags.STATE, "running"))

    def close(self, run_id: str, state: str, status: str) -> None:
        ask(partial(self.client.set_tag, run_id, tags.STATE, state))
        ask(partial(self.client.set_terminated, run_id, status))

    def remove_twins(self, runs: Iterable[Run], kept: str) -> None:
        """Of runs that stand for the same, remove those that nobody wrote into: a server made one that did not
        answer in time, and another was asked for."""
        for run in runs:
            if run.info.run_id != kept and not run.data.metrics and not run.data.params:
                try:
                    ask(partial(self.client.delete_run, run.info.run_id))
                except RefusedError:
                    continue  # by somebody else, in the meantime

    def shown(self, given: Mapping[str, float], called: Names) -> dict[str, float]:
        """Metrics without the two that only the engine needs; objectives first, which the compare page opens with."""
        metrics = finite(dict(given))
        objectives = [
            name for objective in self.sweep.objectives for name in (self.called.column(objective), objective)
        ]
        first = {name: metrics[name] for name in objectives if name in metrics}
        kept = {name: value for name, value in (first | metrics).items() if name not in (names.EPOCH, names.FINAL)}
        return {called(name): value for name, value in kept.items()}


@dataclass(eq=False)
class TrialRuns(Writer):
    """The runs of a sweep's trials."""

    parent_run_id: str = ""
    run_ids: dict[int, str] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    """Trials that may have another run, which nobody knows of: its making was not answered, or an earlier session
    died."""

    def open(self, unsaid: UnsaidTrial) -> None:
        """Find the trial's run and open it again, or make it."""
        if unsaid.number not in self.run_ids and unsaid.number in self.doubtful:
            self.know(self._runs_of(unsaid.number))
        if known := self.run_ids.get(unsaid.number):
            unsaid.run_id = known
            unsaid.there = self._steps_of(unsaid)
            self.reopen(known)
            return
        asked_before = unsaid.number in self.doubtful
        self.doubtful.add(unsaid.number)
        record = unsaid.record
        facts = {
            tags.ROLE: tags.TRIAL_ROLE,
            tags.TRIAL: str(record.number),
            tags.SEED: str(record.seed),
            tags.STATE: "running",
            tags.PARENT: self.parent_run_id,
        }
        try:
            create = partial(self.create, unsaid, f"{self.name}-{record.number:03d}", facts, record.started_ms)
            unsaid.run_id = self.run_ids[record.number] = ask(create, pauses_s=())
        except RefusedError as error:
            raise GoneError(f"its run: {error}") from error
        if not asked_before:
            self.doubtful.discard(record.number)

    def know(self, runs: Iterable[Run]) -> None:
        """Runs that the store has: of several of one trial the one that was written into."""
        best: dict[int, Run] = {}
        for run in runs:
            number = int(run.data.tags[tags.TRIAL])
            if number not in best or _written(run) > _written(best[number]):
                best[number] = run
        self.run_ids |= {number: run.info.run_id for number, run in best.items()}

    def _steps_of(self, unsaid: UnsaidTrial) -> dict[tuple[str, int], int]:
        """What an earlier session has logged of the first objective: name and step to time. Where a machine lost its
        power, its ledger may lack what MLflow has, and the trial reports those epochs again."""
        there: dict[tuple[str, int], int] = {}
        for name in self._of_first_objective:
            with suppress(RefusedError):
                history = ask(partial(self.client.get_metric_history, unsaid.run_id, unsaid.names(name)))
                there |= {(name, point.step): point.timestamp for point in history}
        return there

    @property
    def _of_first_objective(self) -> tuple[str, ...]:
        first = next(iter(self.sweep.objectives))
        return tuple(dict.fromkeys((self.called.column(first), first)))

    def points(self, unsaid: UnsaidTrial, reports: Sequence[Report]) -> None:
        """The metrics of reports at their steps. What was sent before stays there once: MLflow takes the same point
        again as one, and an epoch that was trained once more is not told."""
        self._log(unsaid, map(self.called.of_report, reports))

    def scores(self, unsaid: UnsaidTrial) -> None:
        """Of a trial that has no final report: those of its best epoch."""
        if told := self.called.of_end(unsaid.record):
            self._log(unsaid, [told])

    def _log(self, unsaid: UnsaidTrial, told: Iterable[Values]) -> None:
        points = [
            Metric(name, value, values.time_ms, step(values.step))
            for values in told
            for name, value in self._new_of(unsaid, values).items()
        ]
        self.tell(unsaid, "metrics", points, METRICS_A_CALL)

    def _new_of(self, unsaid: UnsaidTrial, values: Values) -> dict[str, float]:
        """Without those that another session has logged at this step, at another time. Scores at the end may differ
        from those that were said when the trial was interrupted after the same epoch; then they are said too."""
        found, at = self.shown(values.metrics, unsaid.names), step(values.step)
        first = next((name for name in self._of_first_objective if name in values.metrics), "")
        if unsaid.there.get((first, at), values.time_ms) == values.time_ms:
            return found
        return {name: value for name, value in found.items() if not self._has(unsaid.run_id, name, at, value)}

    def _has(self, run_id: str, name: str, at: int, value: float) -> bool:
        """Any point of an epoch at its step; of scores at the end one with this value, as the last of that step."""
        history = ask(partial(self.client.get_metric_history, run_id, name))
        there = sorted((point.timestamp, point.value) for point in history if point.step == at)
        return bool(there) and (not is_said_at_the_end(name) or there[-1][1] == value)

    def params(self, unsaid: UnsaidTrial) -> None:
        """Parameters as they were proposed: MLflow keeps one as it is."""
        params = dict(unsaid.record.proposed)
        if len(self.sweep.seeds) > 1:
            params["seed"] = unsaid.record.seed
        said_params = [Param(unsaid.names(key), text(value, MOST_OF_A_PARAMETER)) for key, value in params.items()]
        self.tell(unsaid, "params", said_params)

    def config(self, unsaid: UnsaidTrial) -> None:
        upload_json(self.client, unsaid.run_id, unsaid.config, tags.CONFIG_FILE)

    def inputs(self, unsaid: UnsaidTrial) -> None:
        """The data sets that it trains on."""
        log_inputs(self.client, unsaid.run_id, inputs_of(unsaid.config, self.common_tags))

    def changes(self, unsaid: UnsaidTrial) -> None:
        words = ", ".join(f"{key}={value}" for key, value in unsaid.record.changes.items())
        ask(partial(self.client.set_tag, unsaid.run_id, tags.CHANGED, text(words)))

    def exploits(self, unsaid: UnsaidTrial, words: str) -> None:
        ask(partial(self.client.set_tag, unsaid.run_id, tags.EXPLOITS, text(words)))

    def files(self, unsaid: UnsaidTrial) -> None:
        """`artifacts/` of the last checkpoint."""
        folder = unsaid.folder()
        if folder is not None and (folder / ARTIFACTS).is_dir():
            for name, reason in upload(self.client, unsaid.run_id, folder / ARTIFACTS):
                unsaid.leave_out(f"file {name}", reason)

    def model(self, unsaid: UnsaidTrial) -> None:
        """What it has left to ship, as a model of MLflow with the scores of its objectives."""
        folder, record = unsaid.folder(), unsaid.record
        file = None if folder is None else model_file(folder / ARTIFACTS)
        if file is None or record.state != "done":
            return
        run = ask(partial(self.client.get_run, unsaid.run_id))
        wanted = [unsaid.names(self.called.column(name)) for name in (*self.sweep.objectives, *names.HEADLINES)]
        data, name = inputs_of(unsaid.config, self.common_tags), f"{self.name}-{record.number:03d}"
        log_model(self.client, run, name, file, list(dict.fromkeys(wanted)), data)

    def facts(self, unsaid: UnsaidTrial, of_checkpoint: Mapping[str, str] | None) -> None:
        """How the trial ended, and what its checkpoint has to say."""
        self.scores(unsaid)
        record = unsaid.record
        facts = {tags.STATE: record.state, tags.EPOCHS: str(record.epoch)}
        if record.reason:
            facts[tags.REASON] = record.reason
        facts |= facts_of(unsaid.folder(), unsaid) if of_checkpoint is None else of_checkpoint
        said_facts = [RunTag(key, value) for key, value in said(facts).items()]
        self.tell(unsaid, "tags", said_facts)

    def end(self, unsaid: UnsaidTrial) -> None:
        """Close the run of a trial that is over; the only one that it has."""
        if unsaid.number in self.doubtful:
            self.remove_twins(self._runs_of(unsaid.number), unsaid.run_id)
        record = unsaid.record
        close = self.client.set_terminated
        ask(partial(close, unsaid.run_id, STATUS[record.state], record.ended_ms))
        unsaid.finished = True

    def interrupt(self, unsaid: UnsaidTrial) -> None:
        """Close the run of a trial that a later session goes on with."""
        self.scores(unsaid)
        ask(partial(self.client.set_tag, unsaid.run_id, tags.EPOCHS, str(unsaid.record.epoch)))
        self.close(unsaid.run_id, "interrupted", STATUS["interrupted"])

    def leave(self, unsaid: UnsaidTrial) -> None:
        """Close the run that a session has left open and that this one did not come to."""
        self.close(unsaid.run_id, "interrupted", STATUS["interrupted"])

    def _runs_of(self, number: int) -> list[Run]:
        sweep_id = self.common_tags[tags.SWEEP_ID]
        wanted = f"tags.{tags.SWEEP_ID} = '{sweep_id}' and tags.{tags.TRIAL} = '{number}'"
        return runs_of_experiment(self.client, wanted, self.experiment_id)


def say_renamed(unsaid: Unsaid, client: MlflowClient) -> None:
    """Which names the run has otherwise."""
    ask(partial(client.set_tag, unsaid.run_id, tags.RENAMED, unsaid.names.as_tag()))


def say_left_out(unsaid: Unsaid, client: MlflowClient) -> None:
    """What the run lacks, and why."""
    counted = (f"{what} ({count} times)" if count > 1 else what for what, count in unsaid.left_out.items())
    ask(partial(client.set_tag, unsaid.run_id, tags.NOT_RECORDED, text("; ".join(counted))))


def said(facts: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them."""
    return {allowed_name(key): text(value) for key, value in facts.items()}


def facts_of(checkpoint: Path | None, unsaid: Unsaid) -> dict[str, str]:
    """What a checkpoint says in words, and the machine that it comes from; what cannot be read is left out."""
    facts: dict[str, str] = {}
    if checkpoint is None:
        return facts
    try:
        if (machine := checkpoint / tags.HARDWARE_FILE).exists():
            facts[tags.HARDWARE] = machine.read_text()
        facts |= dict(read_tags(checkpoint))
    except (OSError, ValueError, TypeError) as error:
        unsaid.leave_out(f"file {TAGS}", one_line(error))
    return facts


def _written(run: Run) -> tuple[bool, int]:
    return is_closed(run), len(run.data.metrics) + len(run.data.params)
