"""What MLflow has not yet been told about one run: the steps that are due, each forgotten once it is done.

Whoever has news adds a step, in place of one of the same kind; whoever writes takes the steps in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from seisweep.record.ledger import Report, TrialRecord
from seisweep.record.mlflow_names import Names

Files = Path | Callable[[], Path | None] | None
"""A checkpoint's folder; or, of one that lies elsewhere, how it comes here."""

Say = Callable[[], None]

MOST_WAITING = 200
"""Reports of a trial that are kept for MLflow; where more wait, the ledger is read again."""


class Step(IntEnum):
    """What is said of a run, in this order: its state comes last, for a run that is closed is complete."""

    OPEN = 0
    POINTS = 1
    PARAMS = 2
    CONFIG = 3
    INPUTS = 4
    CHANGES = 5
    EXPLOITS = 6
    DISTRIBUTIONS = 7
    VIEW = 8
    NODES = 9
    BEST = 10
    FILES = 11
    MODEL = 12
    FACTS = 13
    RENAMED = 14
    LEFT_OUT = 15
    CLOSE = 16

    @property
    def words(self) -> str:
        return self.name.lower()


@dataclass(eq=False)
class Unsaid:
    """Of one run, and what is known of it."""

    name: str
    """As a user reads of it: `trial 3`, or the sweep's name."""
    run_id: str = ""
    due: dict[Step, Say] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    left_out: Counter[str] = field(default_factory=Counter)
    """What MLflow refused, with the reason, and how often."""
    given_up: bool = False
    """MLflow does not take the run itself: nothing more is said of it."""
    flushed_s: float = -1e9
    """When metrics were sent last."""

    def is_due(self, now_s: float, gather_s: float) -> bool:
        """Whether it is its turn; where there are only metrics, they may gather for so long."""
        return bool(self.due) and (set(self.due) != {Step.POINTS} or now_s - self.flushed_s > gather_s)

    @property
    def num_remarks(self) -> int:
        return len(self.names.renamed) + self.left_out.total()

    def leave_out(self, what: str, reason: str) -> None:
        self.left_out[f"{what}: {reason}"] += 1

    def give_up(self, reason: str) -> None:
        self.given_up = True
        self.due.clear()
        self.leave_out("all that was not there yet", reason)


@dataclass(eq=False)
class UnsaidTrial(Unsaid):
    """Of a trial's run."""

    number: int = -1
    record: TrialRecord = field(default_factory=lambda: TrialRecord(-1, {}, 0, 0))
    """As it was when there was news last."""
    drivers_own: TrialRecord | None = None
    """The same as it is now, for the driver's thread."""
    config: dict[str, Any] = field(default_factory=dict)
    begun: bool = False
    """In this session."""
    ended: bool = False
    is_open: bool = False
    """An earlier session that died has left its run open."""
    finished: bool = False
    """Its run is closed and complete."""
    files: Files = None
    reports: list[Report] = field(default_factory=list)
    has_more: bool = False
    """The ledger has reports that found no room in `reports`."""
    there: dict[tuple[str, int], int] = field(default_factory=dict)
    """Of the first objective, what MLflow has from earlier sessions: name and step, with the time in ms."""
    told: tuple[int, bool] = (0, False)
    """Epoch of the last report that MLflow has, and whether it was the final one."""

    def is_now(self, record: TrialRecord) -> None:
        """Keep the record as it is now: the driver goes on changing its own."""
        self.record, self.drivers_own = copy(record), record
        self.record.changes = dict(record.changes)

    def wait_with(self, reports: list[Report], may_drop: bool) -> None:
        """Keep reports for MLflow; too many are dropped where the ledger can be read again."""
        self.has_more = may_drop and (self.has_more or len(reports) > MOST_WAITING)
        self.reports = [] if self.has_more else reports

    def folder(self) -> Path | None:
        """The checkpoint here, fetched once where it lies elsewhere; None where there is none any more."""
        if callable(self.files):
            self.files = self.files()
        return self.files
