"""What a user sees while a sweep runs: a live table in a terminal, plain lines without one.

The engine calls a `Watch`; everything here goes to standard error.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Group

    from search_spaces.sweep import Sweep

State = Literal["pending", "running", "done", "stopped", "failed"]
OVER = ("done", "stopped", "failed")


@dataclass
class TrialRow:
    """One trial as the engine last saw it."""

    number: int
    trial_id: str
    state: State
    epoch: int = 0
    epochs: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass
class Outcome:
    """How a sweep ended, and where its record lies."""

    name: str
    state: Literal["finished", "interrupted", "failed"]
    rows: list[TrialRow]
    best: TrialRow | None
    experiment_id: str
    parent_run_id: str
    tracking_uri: str
    objectives: dict[str, str]
    obstacle: str = ""
    """Why an interrupted sweep could not go on, and what helps, in one line."""


class Watch(Protocol):
    """Whoever wants to see a sweep run. The engine calls it from the driver's thread."""

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None: ...
    def trial_update(self, row: TrialRow) -> None: ...
    def log(self, line: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


class Progress:
    """Counts, best value, rate and time left of a sweep under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start_s = clock()
        self.rows: dict[str, TrialRow] = {}
        self.objectives: dict[str, str] = {}
        self.num_trials: int | None = None
        self.over_before = 0
        self.any_ran = False
        self._best: tuple[str, float, TrialRow] | None = None

    def begin(self, objectives: Mapping[str, str], num_trials: int | None) -> None:
        self.objectives, self.num_trials = dict(objectives), num_trials
        self.start_s = self.clock()

    def update(self, row: TrialRow) -> bool:
        """Take a row; True when the trial's state changed."""
        before = self.rows.get(row.trial_id)
        self.rows[row.trial_id] = row
        self._note_best(row)
        self.any_ran = self.any_ran or row.state == "running"
        if before is None and row.state in OVER and not self.any_ran:
            # A resumed sweep first shows what was done before, which says nothing about its rate.
            self.over_before += 1
        return before is None or before.state != row.state

    @property
    def counts(self) -> Counter[str]:
        return Counter(row.state for row in self.rows.values())

    @property
    def over(self) -> int:
        return sum(self.counts[state] for state in OVER)

    def best(self) -> tuple[str, float, TrialRow] | None:
        """The first objective, its best value so far, and the trial that had it.

        Of any epoch: a trial ends with its best weights, so a later, worse epoch takes nothing away.
        """
        return self._best

    def _note_best(self, row: TrialRow) -> None:
        if not self.objectives or row.state == "failed":
            return
        metric, direction = next(iter(self.objectives.items()))
        value = row.metrics.get(metric, math.nan)
        sign = 1 if direction == "max" else -1
        if math.isfinite(value) and (self._best is None or sign * value > sign * self._best[1]):
            self._best = metric, value, row

    @property
    def trials_per_hour(self) -> float:
        hours = (self.clock() - self.start_s) / 3600
        return (self.over - self.over_before) / hours if hours > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Time until the last trial at the rate so far; None before the first one ends."""
        if not self.num_trials or not self.trials_per_hour:
            return None
        return max(0, self.num_trials - self.over) / self.trials_per_hour * 3600

    def summary(self) -> str:
        """`4 of 12 done, 2 running, best dev/f1 0.871 (trial 3), 40 trials/hour, about 12 min left`."""
        total = f" of {self.num_trials}" if self.num_trials else ""
        parts = [f"{self.over}{total} done", f"{self.counts['running']} running"]
        if best := self.best():
            parts.append(f"best {best[0]} {show_number(best[1])} (trial {best[2].number})")
        if failed := self.counts["failed"]:
            parts.append(f"{failed} failed")
        if self.trials_per_hour:
            parts.append(f"{self.trials_per_hour:.0f} trials/hour")
        if (left := self.seconds_left()) and self.over != self.num_trials:
            parts.append(f"about {show_seconds(left)} left")
        return ", ".join(parts)


class PlainLines:
    """A line when a trial begins or ends, and every epoch of a sweep of one trial."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream or sys.stderr
        self.progress = Progress(clock)
        self.last_epoch_line: tuple[str, int] = ("", 0)

    def log(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self.progress.begin(sweep.objectives, num_trials)
        self.log(f"{name}: {f'{num_trials} trials' if num_trials != 1 else 'one trial'} of {sweep.trainable}")

    def trial_update(self, row: TrialRow) -> None:
        changed = self.progress.update(row)
        epoch = f"epoch {row.epoch}{f' of {row.epochs}' if row.epochs else ''}"
        if row.state == "pending" or (row.state in OVER and not self.progress.any_ran):
            return  # what was done before a resume is counted by the next summary
        if changed and row.state in OVER:
            reason = f": {row.reason}" if row.reason and row.state == "failed" else ""
            self.log(f"trial {row.number} {row.state} after {epoch}{reason}{self._metrics(row)}")
            if self.progress.num_trials != 1:
                self.log(f"  {self.progress.summary()}")
        elif changed:
            self.log(f"trial {row.number} {row.state}{show_params(row.params)}")
        elif self.progress.num_trials == 1 and self.last_epoch_line != (row.trial_id, row.epoch):
            self.last_epoch_line = (row.trial_id, row.epoch)
            self.log(f"trial {row.number} {epoch}{self._metrics(row)}")

    def finished(self, outcome: Outcome) -> None:
        self.log(f"{outcome.name} {outcome.state}: {self.progress.summary()}")

    def _metrics(self, row: TrialRow) -> str:
        shown = [name for name in (*self.progress.objectives, "train/loss") if name in row.metrics]
        return "".join(f", {name} {show_number(row.metrics[name])}" for name in shown)


class LiveTable:
    """A table that redraws itself: each trial with state, epoch, objectives and what varies; a summary."""

    def __init__(self, max_rows: int | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True)
        self.progress = Progress()
        self.title = ""
        self.max_rows = max_rows
        self.live = Live(console=self.console, refresh_per_second=2, get_renderable=self.table)

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self.title = name
        self.progress.begin(sweep.objectives, num_trials)
        self.live.start()

    def trial_update(self, row: TrialRow) -> None:
        self.progress.update(row)

    def log(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False)

    def finished(self, outcome: Outcome) -> None:
        self.title = f"{outcome.name} {outcome.state}"
        self.live.stop()

    def table(self) -> Group:
        """The table as of now. Where the terminal is too small, running trials stay, then the latest."""
        from rich.console import Group
        from rich.table import Table

        rows = sorted(self.progress.rows.values(), key=lambda row: row.number)
        room = self.max_rows or max(3, self.console.size.height - 8)
        kept = sorted(rows, key=lambda row: (row.state != "running", -row.number))[:room]
        varied = list(dict.fromkeys(key for row in rows for key in row.params))
        table = Table(title=self.title, title_justify="left")
        for heading in ("trial", "state", "epoch", *self.progress.objectives, *short_names(varied).values()):
            table.add_column(heading, no_wrap=heading in ("trial", "state", "epoch"))
        for row in (row for row in rows if row in kept):
            values = [row.metrics.get(name) for name in self.progress.objectives]
            table.add_row(
                str(row.number),
                f"{row.state}: {row.reason[:60]}" if row.state == "failed" and row.reason else row.state,
                f"{row.epoch}/{row.epochs}" if row.epochs else str(row.epoch),
                *["" if value is None else show_number(value) for value in values],
                *[show_value(row.params.get(key, "")) for key in varied],
                style={"failed": "red", "running": "bold", "stopped": "dim"}.get(row.state),
            )
        return Group(table, self.progress.summary())


@contextmanager
def watching() -> Iterator[Watch]:
    """The live table where standard error is a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield PlainLines()
        return
    table = LiveTable()
    try:
        yield table
    finally:
        table.live.stop()  # also where the sweep raised: an error line must not be drawn over


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, nothing elsewhere; yields `progress(done, total)`."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_number(value: float) -> str:
    """Four digits that count, whole numbers as they are."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def show_value(value: Any) -> str:
    return show_number(value) if isinstance(value, float) else str(value)


def show_params(params: Mapping[str, Any]) -> str:
    short = short_names(params)
    return ": " + " ".join(f"{short[key]}={show_value(value)}" for key, value in params.items()) if params else ""


def show_seconds(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def short_names(keys: Mapping[str, Any] | list[str]) -> dict[str, str]:
    """The last part of each dotted key, the whole key where two would look the same."""
    leaves = {key: key.rpartition(".")[2] for key in keys}
    times = Counter(leaves.values())
    return {key: leaf if times[leaf] == 1 else key for key, leaf in leaves.items()}
