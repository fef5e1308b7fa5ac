"""The runs of a sweep into another store: each is found there by what it is, or made, and then completed.

A run is what its tags say: the sweep's id, and the number of a trial. Values keep their steps and times, which MLflow
stores once however often they are sent, and the last that a run gets is a digest of all that it should have. So a
merge that was killed is completed by the next one, a repeated one writes nothing, and one of a sweep that has grown
meanwhile brings what has come. Readers see the sweep once its own run has its role, the last of all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from search_spaces.narrowing import searched_keys
from search_spaces.sweep import Sweep
from seisweep.archive.contents import FilesOf
from seisweep.archive.format import RunData
from seisweep.private.mlflow import asked_once
from seisweep.record import tags
from seisweep.record.data_of_trial import inputs_of, log_inputs
from seisweep.record.metric_names import MetricNames
from seisweep.record.mlflow_answers import RefusedError, ask
from seisweep.record.mlflow_files import upload, upload_json
from seisweep.record.mlflow_names import allowed_name
from seisweep.record.mlflow_pages import saved_view
from seisweep.record.mlflow_store import experiment_named, runs_of_experiment, store_answers
from seisweep.record.model_of_trial import log_model, model_file
from seisweep.record.name_claim import take_name
from seisweep.say import say_once
from seisweep.settings.home import NameTakenError
from seisweep.settings.which_store import Store
from seisweep.statistics.objective import DONE
from trainables import metrics

SAY_EVERY = 20
VALUES_A_CALL, OTHERS_A_CALL = 1000, 100
RUN_NAME = "mlflow.runName"
NOT_TAKEN = (tags.PARENT, RUN_NAME, "mlflow.log-model.history", tags.MERGED)
"""Tags that are made anew, or say something of another store."""
OPEN = ("RUNNING", "SCHEDULED")
PARENT = (tags.SWEEP_ROLE, "")

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass
class Recording:
    """One sweep on its way into one store."""

    store: Store
    sweep: Sweep
    sweep_id: str
    name: str
    """Under which it is recorded there."""
    runs: Sequence[RunData]
    """The sweep's own first."""
    files: FilesOf
    say: Say
    client: MlflowClient = field(init=False)
    made: list[Run] = field(default_factory=list)
    """Runs that this process has made."""
    num_written: int = 0

    def __post_init__(self) -> None:
        self.client = MlflowClient(tracking_uri=self.store.uri)

    def known(self) -> list[Run]:
        """Runs of this sweep that the store has, of openings those that a merge has brought."""
        with store_answers(self.store.uri):
            own = runs_of_experiment(self.client, f"tags.{tags.SWEEP_ID} = '{self.sweep_id}'")
            promoted = f"tags.{tags.ROLE} = '{tags.PROMOTION_ROLE}' and tags.{tags.MERGED} LIKE '{self.sweep_id}%'"
            return [*own, *runs_of_experiment(self.client, promoted)]

    def write(self, known: Sequence[Run]) -> None:
        """Complete what is there. Raises ValueError, which is a NameTakenError where another sweep has the name."""
        with store_answers(self.store.uri):
            there, experiments = self._one_of_each(known), self._experiments()
            parent = there.get(PARENT) or self._made(experiments, self.runs[0], self._facts(self.runs[0], {}))
            role = parent.data.tags.get(tags.ROLE)
            if role == tags.NEW_ROLE and not self.store.is_own:
                self._take_name(parent)
            ids = {self.runs[0].run_id: parent.info.run_id}
            for place, run in enumerate(self.runs[1:], start=1):
                if place % SAY_EVERY == 0:
                    self.say(f"run {place} of {len(self.runs)}")
                facts = self._facts(run, ids)
                found = there.get(_identity(run.tags, run.run_id)) or self._made(experiments, run, facts)
                ids[run.run_id] = found.info.run_id
                self._complete(found, run, facts, place)
            facts = self._facts(self.runs[0], ids)
            if self._complete(parent, self.runs[0], facts, 0):
                ask(partial(self.client.set_experiment_tag, experiments[tags.SWEEP_ROLE], *self._view(facts)))
            if role != tags.SWEEP_ROLE:
                ask(partial(self.client.set_tag, parent.info.run_id, tags.ROLE, tags.SWEEP_ROLE))

    def _one_of_each(self, known: Sequence[Run]) -> dict[tuple[str, str], Run]:
        """By what they are. Where a run was made twice (the answer was late), the one that nobody completed goes."""
        there: dict[tuple[str, str], Run] = {}
        for run in sorted(known, key=lambda run: run.data.tags.get(tags.MERGED) == self._mark("")):
            if there.setdefault(_identity(run.data.tags, ""), run) is not run:
                ask(partial(self.client.delete_run, run.info.run_id))
        return there

    def _take_name(self, parent: Run) -> None:
        try:
            take_name(self.client, parent.info.run_id, self.name, self.sweep_id)
        except NameTakenError:
            self.made.clear()  # it was the only one, and is gone
            raise

    def _experiments(self) -> dict[str, str]:
        """By role of a run."""
        wanted = {tags.SWEEP_ROLE: self.sweep.name}
        if any(run.tags.get(tags.ROLE) == tags.PROMOTION_ROLE for run in self.runs):
            wanted[tags.PROMOTION_ROLE] = tags.PROMOTIONS
        place = self.store.artifacts_uri
        return {role: experiment_named(self.client, name, place) for role, name in wanted.items()}

    def _made(self, experiments: Mapping[str, str], run: RunData, facts: dict[str, str]) -> Run:
        role = run.tags.get(tags.ROLE, "")
        with asked_once():  # or a late answer would leave two; so the next merge finds the one
            new = self.client.create_run(
                experiments.get(role, experiments[tags.SWEEP_ROLE]),
                start_time=run.start_time_ms,
                run_name=self._run_name(run),
                tags=facts | {tags.MERGED: self._mark("")},
            )
        self.made.append(new)
        return new

    def _run_name(self, run: RunData) -> str | None:
        was, name = self.runs[0].tags[tags.SWEEP], run.tags.get(RUN_NAME)
        return f"{self.name}{name.removeprefix(was)}" if name and name.startswith(was) else name

    def _facts(self, run: RunData, ids: Mapping[str, str]) -> dict[str, str]:
        """Tags as they are there, but for the role of the sweep's own run. `ids`: of the runs there, by those that they
        had."""
        facts = {key: value for key, value in run.tags.items() if key not in NOT_TAKEN} | {tags.SWEEP: self.name}
        role = facts.get(tags.ROLE)
        if role == tags.SWEEP_ROLE:
            facts[tags.ROLE] = tags.NEW_ROLE
        elif role == tags.TRIAL_ROLE:
            facts[tags.PARENT] = ids[self.runs[0].run_id]
        elif role == tags.PROMOTION_ROLE:
            facts.setdefault(tags.MERGED_FROM, run.run_id)
            facts[tags.PROMOTED_RUN] = ids.get(facts.get(tags.PROMOTED_RUN, ""), "")
        return facts

    def _complete(self, there: Run, run: RunData, facts: dict[str, str], place: int) -> bool:
        """Everything of one run, its digest last. Whether there was anything to write."""
        run_id, folder = there.info.run_id, self.files(place)
        mark, before = self._mark(_digest(run, folder)), there.data.tags.get(tags.MERGED)
        if before in (mark, None) or _is_newer(there, run):
            return False
        facts.pop(tags.ROLE)  # which the run has, or gets when all are there
        for params in _parts([Param(key, value) for key, value in run.params.items()], OTHERS_A_CALL):
            ask(partial(self.client.log_batch, run_id, params=params))
        points = [Metric(name, value, time_ms, step) for name, step, time_ms, value in run.metrics]
        for values in _parts(points, VALUES_A_CALL):
            ask(partial(self.client.log_batch, run_id, metrics=values))
        if folder is not None and folder.is_dir():
            self._upload(run_id, folder)
            if tags.TRIAL in run.tags:
                self._fill_pages(run_id, run, folder)
        if run.status not in OPEN:
            ask(partial(self.client.set_terminated, run_id, run.status, run.end_time_ms))
        for said in _parts([RunTag(key, value) for key, value in (facts | {tags.MERGED: mark}).items()], OTHERS_A_CALL):
            ask(partial(self.client.log_batch, run_id, tags=said))
        self.num_written += 1
        return True

    def _upload(self, run_id: str, folder: Path) -> None:
        for name, reason in upload(self.client, run_id, folder):
            raise ValueError(f"{self.store.uri} refuses the file {name}: {reason}")
        description = folder / tags.SWEEP_FILE
        if self.name != self.runs[0].tags[tags.SWEEP] and description.is_file():
            upload_json(self.client, run_id, _renamed(description, self.name), tags.SWEEP_FILE)

    def _fill_pages(self, run_id: str, run: RunData, folder: Path) -> None:
        """Data sets and model of a trial, as the pages of MLflow have them; a server that has none does without."""
        config, file = folder / tags.CONFIG_FILE, model_file(folder)
        data = inputs_of(json.loads(config.read_text(encoding="utf-8")), run.tags) if config.is_file() else []
        called = MetricNames(tuple(self.sweep.objectives), tags.BEST_APART in self.runs[0].tags)
        scores = [allowed_name(called.column(name)) for name in (*self.sweep.objectives, *metrics.HEADLINES)]
        try:
            log_inputs(self.client, run_id, data)
            if file is not None and run.tags.get(tags.STATE) == DONE:
                there = ask(partial(self.client.get_run, run_id))
                log_model(self.client, there, f"{self.name}-{int(run.tags[tags.TRIAL]):03d}", file, scores, data)
        except RefusedError as error:
            say_once(f"without data sets and models, which {self.store.uri} refuses: {error}")

    def _mark(self, digest: str) -> str:
        return f"{self.sweep_id} {digest}"

    def _view(self, facts: Mapping[str, str]) -> tuple[str, str]:
        keys = [allowed_name(key) for key in searched_keys(self.sweep)]
        return saved_view(self.name, self.sweep.objectives, keys, tags.BEST_APART in facts)


def _identity(facts: Mapping[str, str], run_id: str) -> tuple[str, str]:
    """What a run is, in whichever store. `run_id`: of an opening that no merge has brought."""
    if facts.get(tags.ROLE) == tags.PROMOTION_ROLE:
        return tags.PROMOTION_ROLE, facts.get(tags.MERGED_FROM, run_id)
    return (tags.TRIAL_ROLE, facts[tags.TRIAL]) if tags.TRIAL in facts else PARENT


def _is_newer(there: Run, run: RunData) -> bool:
    """Whether the store has a later state of the run than this one."""
    ends = there.info.end_time, run.end_time_ms
    return there.info.status not in OPEN and None not in ends and ends[0] > ends[1]


def _digest(run: RunData, folder: Path | None) -> str:
    """Of all that a run should have."""
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder is not None else []
    sizes = [(file.name, file.stat().st_size) for file in files]
    facts = {key: value for key, value in run.tags.items() if key not in NOT_TAKEN}
    plain = run.model_dump(exclude={"run_id", "tags"}) | {"tags": facts, "files": sizes}
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()


def _renamed(description: Path, name: str) -> dict[str, Any]:
    return {**json.loads(description.read_text(encoding="utf-8")), "name": name}


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
