"""How a whole sweep is written into MLflow: its own run, which those of the trials hang below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Run, RunTag

from search_spaces.narrowing import searched_keys
from seisweep.record import tags
from seisweep.record.ledger import Exploit
from seisweep.record.mlflow_answers import ask, ask_at_the_start
from seisweep.record.mlflow_files import upload, upload_json, upload_text
from seisweep.record.mlflow_names import allowed_name
from seisweep.record.mlflow_pages import saved_view
from seisweep.record.mlflow_store import runs_of_experiment
from seisweep.record.name_claim import take_name
from seisweep.record.sweep_run import exploits_table, sweep_tags
from seisweep.record.trial_run import CLOSED, Writer, is_closed
from seisweep.record.unsaid import Unsaid

LONGEST_TAG = 5000
"""Characters that MLflow takes."""


@dataclass(eq=False)
class ParentRun(Writer):
    """The run of a sweep."""

    run_id: str = ""
    found: bool = False
    """An earlier session has written into it; it may have asked for another one too."""
    claims_name: bool = False
    """Other homes write to the store too: the name is made sure of there (`name_claim.py`)."""

    def begin(self, unsaid: Unsaid, note: str, num_trials: str) -> tuple[list[Run], bool]:
        """Find the run and open it again, or make it. Returns the trials' runs of earlier sessions, and whether the
        sweep's description is there. Raises NameTakenError where another sweep has got the name."""

        def found_or_made() -> list[Run]:
            runs = self._runs()
            if run := _parent(runs):
                self.run_id, self.found = run.info.run_id, True
            else:
                facts = sweep_tags(self.sweep, note) | {tags.NUM_TRIALS: num_trials}
                facts |= {tags.BEST_APART: "yes"} if self.called.best_apart else {}
                facts |= {tags.ROLE: tags.NEW_ROLE} if self.claims_name else {}
                self.run_id = self.create(unsaid, self.name, facts)
            return runs

        runs = ask_at_the_start(found_or_made)
        parent = next((run for run in runs if run.info.run_id == self.run_id), None)
        if (self.claims_name and parent is None) or (parent and parent.data.tags[tags.ROLE] != tags.SWEEP_ROLE):
            take_name(self.client, self.run_id, self.name, self.common_tags[tags.SWEEP_ID])
            ask_at_the_start(partial(self.client.set_tag, self.run_id, tags.ROLE, tags.SWEEP_ROLE))
        if parent is None:
            return [], False
        ask_at_the_start(partial(self.reopen, self.run_id))
        as_before = parent.data.tags.get(tags.NUM_TRIALS, "") == num_trials
        if not as_before:
            ask_at_the_start(partial(self.client.set_tag, self.run_id, tags.NUM_TRIALS, num_trials))
        described = parent.info.status in CLOSED and as_before  # or the last session may have died before it was
        return [run for run in runs if run.data.tags.get(tags.ROLE) == tags.TRIAL_ROLE], described

    def describe(self, description: Mapping[str, Any]) -> None:
        """What was launched, as a file: the first that the store of artifacts gets."""
        upload_json(self.client, self.run_id, description, tags.SWEEP_FILE)

    def view(self) -> None:
        """How MLflow's own page shows the trials."""
        keys = [allowed_name(key) for key in searched_keys(self.sweep)]
        view = saved_view(self.name, self.sweep.objectives, keys, self.called.best_apart)
        ask(partial(self.client.set_experiment_tag, self.experiment_id, *view))

    def distributions(self, data: Mapping[str, Any]) -> None:
        """From what the trials' settings were drawn."""
        upload_json(self.client, self.run_id, data, tags.DISTRIBUTIONS_FILE)

    def exploits(self, exploits: Sequence[Exploit]) -> None:
        """Who took over from whom."""
        upload_text(self.client, self.run_id, exploits_table(exploits), tags.EXPLOITS_FILE)

    def nodes_left_out(self, unsaid: Unsaid, words: str) -> None:
        """Nodes on which no trial ran, and why."""
        self.tell(unsaid, "tags", [RunTag(tags.NODES_LEFT_OUT, words[:LONGEST_TAG])])

    def best(self, unsaid: Unsaid, number: int, metrics: Mapping[str, float], time_ms: int) -> None:
        """The best trial and its metrics."""
        points = [Metric(name, value, time_ms, 0) for name, value in self.shown(metrics, unsaid.names).items()]
        self.tell(unsaid, "metrics", points)
        self.tell(unsaid, "tags", [RunTag(tags.BEST_TRIAL, str(number))])

    def files(self, unsaid: Unsaid, folder: Path) -> None:
        """A folder of the sweep's own, under its name."""
        for name, reason in upload(self.client, self.run_id, folder, folder.name):
            unsaid.leave_out(f"file {name}", reason)

    def end(self, state: str, has_doubts: bool) -> None:
        """Close it, the last of all; what stands twice goes. `has_doubts`: of the trials' runs too."""
        self._remove_all_twins(has_doubts or self.found)
        self.close(self.run_id, state, {"finished": "FINISHED", "failed": "FAILED"}.get(state, "KILLED"))

    def _remove_all_twins(self, of_trials_too: bool) -> None:
        runs = self._runs() if of_trials_too else self._runs(f" and tags.{tags.ROLE} LIKE '{tags.SWEEP_ROLE}%'")
        self.remove_twins(filter(_is_parent, runs), self.run_id)
        by_trial: dict[str, list[Run]] = {}
        for run in runs:
            if number := run.data.tags.get(tags.TRIAL):
                by_trial.setdefault(number, []).append(run)
        for twins in by_trial.values():
            kept = max(twins, key=lambda run: (is_closed(run), len(run.data.metrics), len(run.data.params)))
            self.remove_twins(twins, kept.info.run_id)

    def _runs(self, and_also: str = "") -> list[Run]:
        wanted = f"tags.{tags.SWEEP_ID} = '{self.common_tags[tags.SWEEP_ID]}'{and_also}"
        return runs_of_experiment(self.client, wanted, self.experiment_id)


def _parent(runs: Sequence[Run]) -> Run | None:
    """The sweep's own among its runs; of several the one that trials hang below, else the one written into."""
    children = Counter(run.data.tags.get(tags.PARENT, "") for run in runs)

    def weight(run: Run) -> tuple[int, bool, bool]:
        is_known = run.data.tags[tags.ROLE] == tags.SWEEP_ROLE
        return children[run.info.run_id], run.info.status in CLOSED, is_known

    return max(filter(_is_parent, runs), key=weight, default=None)


def _is_parent(run: Run) -> bool:
    return run.data.tags.get(tags.ROLE) in tags.PARENT_ROLES
