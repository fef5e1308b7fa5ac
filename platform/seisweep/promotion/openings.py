"""Who opened which test split, and when: written down before it is read.

Every opening is a run of the experiment `promotions`, with the test split as its tag. It stays there whatever becomes
of the promotion, and counts also where its run was deleted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from seisweep.record import tags
from seisweep.record.mlflow_store import experiment_named, store_answers
from seisweep.settings.which_store import Store
from trainables.data.seal import Opening


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
        wanted = f"tags.{tags.ROLE} = '{tags.PROMOTION_ROLE}' and tags.{tags.TEST_SPLIT} = '{self.test_split}'"
        with store_answers(self.client.tracking_uri):
            runs = self.client.search_runs([self.experiment_id], wanted, ViewType.ALL, max_results=1000)
        return sorted(runs, key=_order)

    def check(self, again: bool) -> None:
        """Raises ValueError where it was opened before, and not to be opened again."""
        if (known := self.known()) and not again:
            raise ValueError(_refusal(known))

    @contextmanager
    def opened(self, name: str, facts: Mapping[str, str], again: bool) -> Iterator[tuple[Run, Opening]]:
        """Write an opening down, and its end when what is done with it has ended. Raises ValueError."""
        own = {tags.ROLE: tags.PROMOTION_ROLE, tags.TEST_SPLIT: self.test_split, tags.STATE: "running"}
        self.check(again)
        with store_answers(self.client.tracking_uri):
            run = self.client.create_run(self.experiment_id, run_name=name, tags=dict(facts) | own)
            known = self.known()  # another promotion may have come between
            number = 1 + [earlier.info.run_id for earlier in known].index(run.info.run_id)
            self.client.set_tag(run.info.run_id, tags.OPENING, str(number))
        try:
            if number > 1 and not again:
                raise ValueError(_refusal(known))
            yield run, Opening(self.test_split, number)
        except BaseException as error:
            self._ends(run, "failed", "FAILED", f"{type(error).__name__}: {error}"[:500])
            raise
        self._ends(run, "done", "FINISHED")

    def _ends(self, run: Run, state: str, status: str, reason: str = "") -> None:
        self.client.set_tag(run.info.run_id, tags.STATE, state)
        if reason:
            self.client.set_tag(run.info.run_id, tags.REASON, reason)
        self.client.set_terminated(run.info.run_id, status)


def _order(run: Run) -> tuple[float, int, str]:
    """By its number, whatever the clock said; one that has none yet comes last."""
    return float(run.data.tags.get(tags.OPENING, math.inf)), run.info.start_time, run.info.run_id


def described(run: Run) -> str:
    """An opening in words: when, of what, by whom."""
    when = pd.Timestamp(run.info.start_time, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M UTC")
    facts = run.data.tags
    return f"{when} for {facts.get(tags.SWEEP)} trial {facts.get(tags.TRIAL)} by {facts.get(tags.USER, 'unknown')}"


def _refusal(known: list[Run]) -> str:
    more = f", and {len(known) - 1} more since" if len(known) > 1 else ""
    return (
        f"this test split was opened before: {described(known[0])}{more}; later results are no longer blind. "
        "--again opens it again, and the model card says so"
    )
