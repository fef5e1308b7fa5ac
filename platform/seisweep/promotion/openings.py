"""Who opened which test split, and when: written down before it is read.

Every opening is a run of the experiment `promotions`, with the test split as its tag. It stays there whatever becomes
of the promotion, and counts also where its run was deleted. It is `running` until scores and registration are
complete: whoever promotes the same files of the same trial again until then goes on with it, and it counts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pandas as pd
from mlflow.entities import Metric, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from seisweep.private.mlflow import asked_once
from seisweep.promotion.registry import is_registered
from seisweep.record import tags
from seisweep.record.mlflow_store import experiment_named, store_answers
from seisweep.settings.which_store import Store
from trainables.data.seal import Opening

DONE, FAILED, RUNNING = "done", "failed", "running"
SAME = (tags.PROMOTED_RUN, tags.MODELS)
"""Tags in which two promotions of one test split are one."""


@dataclass(frozen=True)
class Opened:
    """A test split that may be read."""

    run: Run
    opening: Opening
    earlier: list[Run]
    """Openings of it before this one, and of test splits with some of its records, whenever they were."""


@dataclass(frozen=True)
class Openings:
    """The record of one test split in one store."""

    client: MlflowClient
    experiment_id: str
    test_split: str

    @classmethod
    def of(cls, store: Store, test_split: str) -> Openings:
        """Raises ValueError where the store does not answer."""
        client = MlflowClient(tracking_uri=store.uri)
        return cls(client, experiment_named(client, tags.PROMOTIONS, store.artifacts_uri), test_split)

    def known(self) -> list[Run]:
        """Runs that opened it, the first one first."""
        return sorted(self._found(f" and tags.{tags.TEST_SPLIT} = '{self.test_split}'"), key=_order)

    def overlapping(self) -> list[Run]:
        """Runs that opened another one, with records of this one in it: of a mixture of data sets, or of one in it."""
        data, _, how = self.test_split.partition(",")
        found = []
        for run in self._found(""):
            other, _, its_how = run.data.tags.get(tags.TEST_SPLIT, "").partition(",")
            if other != data and its_how == how and _data_sets(other) & _data_sets(data):
                found.append(run)
        return sorted(found, key=lambda run: run.info.start_time)

    def _found(self, condition: str) -> list[Run]:
        wanted = f"tags.{tags.ROLE} = '{tags.PROMOTION_ROLE}'{condition}"
        with store_answers(self.client.tracking_uri):
            runs = self.client.search_runs([self.experiment_id], wanted, ViewType.ALL, max_results=1000)
        return [run for run in runs if run.data.tags.get(tags.STATE) != tags.REFUSED]

    def check(self, about: Mapping[str, str], again: bool) -> None:
        """Raises ValueError where it was opened before, for something else, and not to be opened again."""
        known = self.known()
        if not again and self._unfinished(known, about) is None and (known or (known := self.overlapping())):
            raise ValueError(_refusal(known))

    @contextmanager
    def opened(self, name: str, about: Mapping[str, str], again: bool) -> Iterator[Opened]:
        """Write an opening down, or go on with one of the same that was not completed. Raises ValueError.

        What is done with it ends with `complete`, or has failed.
        """
        opened = self._gone_on_with(about) or self._begun(name, about, again)
        try:
            yield opened
        except BaseException as error:
            with suppress(MlflowException, OSError):  # of a server that is away; who comes again goes on with it
                self._ends(opened.run, FAILED, f"{type(error).__name__}: {error}"[:500])
            raise

    def complete(self, opened: Opened, metrics: Sequence[Metric], facts: Mapping[str, str]) -> None:
        """Scores, and that all is there, in one step, the last."""
        run_id, said = opened.run.info.run_id, {**facts, tags.STATE: DONE}
        if tags.REASON in opened.run.data.tags:
            self.client.delete_tag(run_id, tags.REASON)
        self.client.set_terminated(run_id, "FINISHED")
        self.client.log_batch(run_id, metrics=metrics, tags=[RunTag(key, value) for key, value in said.items()])

    def _gone_on_with(self, about: Mapping[str, str]) -> Opened | None:
        known = self.known()
        if (run := self._unfinished(known, about)) is None:
            return None
        with store_answers(self.client.tracking_uri):
            self.client.update_run(run.info.run_id, "RUNNING")
            return self._numbered(run, known)

    def _begun(self, name: str, about: Mapping[str, str], again: bool) -> Opened:
        self.check(about, again)
        own = {tags.ROLE: tags.PROMOTION_ROLE, tags.TEST_SPLIT: self.test_split, tags.STATE: RUNNING}
        with store_answers(self.client.tracking_uri):
            with asked_once():  # an answer that is late may have made it: it is found when this is called again
                run = self.client.create_run(self.experiment_id, run_name=name, tags={**about, **own})
            known = self.known()  # another promotion may have come between
            opened = self._numbered(run, known)
            if opened.opening.number > 1 and not again:
                self._ends(run, tags.REFUSED)
                raise ValueError(_refusal(known))
            return opened

    def _numbered(self, run: Run, known: Sequence[Run]) -> Opened:
        """The opening with its number among those that are known, written down."""
        place = [one.info.run_id for one in known].index(run.info.run_id)
        said = {tags.OPENING: str(place + 1), tags.STATE: RUNNING}
        news = [RunTag(key, value) for key, value in said.items() if run.data.tags.get(key) != value]
        if news:
            self.client.log_batch(run.info.run_id, tags=news)
        return Opened(run, Opening(self.test_split, place + 1), [*self.overlapping(), *known[:place]])

    def _unfinished(self, known: Sequence[Run], about: Mapping[str, str]) -> Run | None:
        """The latest of these openings that is for the same trial and files, and is not complete: it was interrupted,
        or came from another store, without its models."""
        for run in reversed(known):
            facts = run.data.tags
            if run.info.lifecycle_stage == "active" and all(about.get(tag, "") == facts.get(tag) for tag in SAME):
                is_whole = facts.get(tags.STATE) == DONE and is_registered(self.client, run)
                return None if is_whole else run
        return None

    def _ends(self, run: Run, state: str, reason: str = "") -> None:
        said = {tags.STATE: state} | ({tags.REASON: reason} if reason else {})
        self.client.log_batch(run.info.run_id, tags=[RunTag(key, value) for key, value in said.items()])
        self.client.set_terminated(run.info.run_id, "FAILED")


def _order(run: Run) -> tuple[float, int, str]:
    """By its number, whatever the clock said; one that has none yet comes last."""
    return float(run.data.tags.get(tags.OPENING, math.inf)), run.info.start_time, run.info.run_id


def described(run: Run) -> str:
    """An opening in words: when, of what, by whom."""
    when = pd.Timestamp(run.info.start_time, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M UTC")
    facts = run.data.tags
    trials = f"trials {facts[tags.TRIALS]}" if tags.TRIALS in facts else f"trial {facts.get(tags.TRIAL)}"
    beside = f" beside {facts[tags.BESIDE]}" if tags.BESIDE in facts else ""
    return f"{when} for {facts.get(tags.SWEEP)} {trials}{beside} by {facts.get(tags.USER, 'unknown')}"


def _data_sets(data: str) -> set[str]:
    """The fingerprints in `data 0123+4567`."""
    return set(data.removeprefix("data ").split("+"))


def _refusal(known: list[Run]) -> str:
    more = f", and {len(known) - 1} more since" if len(known) > 1 else ""
    return (
        f"this test split was opened before: {described(known[0])}{more}; later results are no longer blind. "
        "--again opens it again, and the model card says so"
    )
