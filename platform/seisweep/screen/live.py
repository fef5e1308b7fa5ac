"""What a user sees while a sweep runs: a bar and a table in a terminal, plain lines without one; notebook.py in a
notebook.

The engine calls a `Watch`; everything here goes to standard error.
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TextIO

from seisweep.engine.outcome import OVER, Outcome, TrialRow, Watch
from seisweep.screen.progress import Progress
from seisweep.screen.tables import GAP, aligned, fitting
from seisweep.screen.terminal import redraws
from seisweep.text import short_names, show_number, show_params, show_value

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from search_spaces.sweep import Sweep

MANY_TRIALS = 100
"""In a sweep of more, plain lines name those trials only that failed or are the best so far."""

SUMMARY_EVERY_S = 30.0
"""Plain lines say that often how the whole sweep stands."""

QUIET_S = 60.0
"""After so long without a line one says how the whole sweep stands, if an epoch has ended meanwhile."""

LEAST_BAR, MOST_BAR = 10, 60
"""Characters of the bar; where there is no room for the least there is none."""
OTHER_LINES = 8
"""Of the screen, which the rows of the table leave to bar, words and what stands above."""
STATE_COLUMN = 1
"""The one with words; all others are numbers, or settings."""

WHOSE_SCORES = "scores: while a trial runs of its last epoch, then of its best weights"


class PlainLines:
    """A line when a trial begins or ends, now and then one for the whole; every epoch of a sweep of one trial. Each
    begins with its time."""

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.stream = stream or sys.stderr
        self.stamp = Stamp(now)
        self.progress = Progress(clock)
        self.last_epoch_line: tuple[str, int] = ("", 0)
        self.last_summary_s: float | None = None
        self.last_line_s = clock()
        self.said_best: float | None = None

    def log(self, line: str) -> None:
        self.last_line_s = self.progress.clock()
        print(f"{self.stamp()} {line}", file=self.stream, flush=True)

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
            if not self._many or row.state == "failed" or self._is_new_best(row):
                self.log(f"trial {row.number} {row.state} after {epoch}{reason}{self._metrics(row)}")
            self._now_and_then()
        elif changed and not self._many:
            self.log(f"trial {row.number} {row.state}{show_params(row.params)}")
        elif self.progress.num_trials == 1 and self.last_epoch_line != (row.trial_id, row.epoch):
            self.last_epoch_line = (row.trial_id, row.epoch)
            self.log(f"trial {row.number} {epoch}{self._metrics(row)}")
        elif row.epoch and self.progress.clock() - self.last_line_s >= QUIET_S:
            self._now_and_then()

    def finished(self, outcome: Outcome) -> None:
        self.log(f"{outcome.name} {outcome.state}: {self.progress.summary()}")

    @property
    def _many(self) -> bool:
        return max(len(self.progress.rows), self.progress.num_trials or 0) > MANY_TRIALS

    def _is_new_best(self, row: TrialRow) -> bool:
        best = self.progress.best()
        if best is None or best[2].number != row.number or best[1] == self.said_best:
            return False
        self.said_best = best[1]
        return True

    def _now_and_then(self) -> None:
        now_s = self.progress.clock()
        due = self.last_summary_s is None or now_s - self.last_summary_s >= SUMMARY_EVERY_S
        if due and self.progress.num_trials != 1:
            self.last_summary_s = now_s
            self.log(f"  {self.progress.summary()}")

    def _metrics(self, row: TrialRow) -> str:
        shown = [name for name in (*self.progress.objectives, "train/loss") if name in row.metrics]
        return "".join(f", {name} {show_number(row.metrics[name])}" for name in shown)


class Stamp:
    """The time of a line as the user's clock has it: `23:41:07`, with the date where the day is another than before."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._day = ""

    def __call__(self) -> str:
        now = self._now()
        day, before = f"{now:%Y-%m-%d}", self._day
        self._day = day
        return f"{now:%H:%M:%S}" if day == before else f"{now:%Y-%m-%d %H:%M:%S}"


class LiveTable:
    """A bar and a table that redraw themselves: each trial with state, epoch, objectives and what varies. Lines above
    them say what happened, with their times."""

    def __init__(self, max_rows: int | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True)
        self.progress = Progress()
        self.stamp = Stamp(datetime.now)
        self.stamp()  # who looks on knows the day
        self.name = ""
        self.state = "running"
        self.max_rows = max_rows
        self.live = Live(console=self.console, refresh_per_second=2, get_renderable=self.view)

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self.name = name
        self.progress.begin(sweep.objectives, num_trials)
        self.live.start()

    def trial_update(self, row: TrialRow) -> None:
        changed = self.progress.update(row)
        if changed and row.state == "failed" and self.progress.any_ran:
            self.log(f"trial {row.number} failed after epoch {row.epoch}: {row.reason}")

    def log(self, line: str) -> None:
        self.console.print(f"{self.stamp()} {line}", markup=False, highlight=False, soft_wrap=True)

    def finished(self, outcome: Outcome) -> None:
        self.state = outcome.state
        self.live.stop()

    def view(self) -> Group:
        """Bar and table as of now; the bar alone where the sweep has ended, whose table comes below."""
        from rich.console import Group

        return Group(*self._bar(), *(self._table() if self.state == "running" else []))

    def _bar(self) -> list[RenderableType]:
        """Two lines: how far, and what came of it."""
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        name = self.name if self.state == "running" else f"{self.name} {self.state}"
        time_left = self.progress.time_in_words()
        room = self.console.width - len(name) - len(time_left) - 2 * len(GAP)
        if self.progress.num_trials and room >= LEAST_BAR:
            bar = ProgressBar(1.0, self.progress.share_over, width=min(room, MOST_BAR))
            first: list[RenderableType] = [_beside(Text(name, style="bold"), bar, Text(time_left))]
        else:
            first = [Text(f"{name}{GAP}{time_left}")]
        return [*first, Text("; ".join(filter(None, [self.progress.counts_in_words(), self.progress.best_in_words()])))]

    def _table(self) -> list[RenderableType]:
        """Where the terminal is too low, running trials stay, then the latest; where it is too narrow, settings go."""
        from rich.text import Text

        shown = shown_of(self.progress, self.max_rows or max(3, self.console.height - OTHER_LINES), with_reasons=False)
        if not shown.rows:
            return []
        lines = [shown.headings, *[cells for _, cells in shown.rows]]
        kept = fitting(lines, self.console.width)
        fit = aligned([[line[place] for place in kept] for line in lines], [place != STATE_COLUMN for place in kept])
        styles = ["bold", *[{"failed": "red", "stopped": "dim"}.get(state, "") for state, _ in shown.rows]]
        table = [Text(line, style, no_wrap=True) for line, style in zip(fit, styles, strict=True)]
        left_out = [heading for place, heading in enumerate(shown.headings) if place not in kept]
        note = f"no room for {', '.join(left_out)}; {WHOSE_SCORES}" if left_out else WHOSE_SCORES
        return [Text(""), *table, Text(note, style="dim")]


def _beside(*parts: RenderableType) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, len(GAP)))
    grid.add_row(*parts)
    return grid


class Shown(NamedTuple):
    """A table of trials as of now."""

    headings: list[str]
    rows: list[tuple[str, list[str]]]
    """State and cells of each trial."""


def shown_of(progress: Progress, room: int, with_reasons: bool = True) -> Shown:
    """So many rows of a sweep under way, by number: running trials first of all, then the latest."""
    rows = list(progress.rows.values())  # of this moment: the driver goes on meanwhile
    kept = heapq.nsmallest(room, rows, key=lambda row: (row.state != "running", -row.number))
    varied = list(progress.varied)
    headings = ["trial", "state", "epoch", *progress.objectives, *short_names(varied).values()]
    return Shown(
        headings, [(row.state, _cells(row, progress, varied, with_reasons)) for row in sorted(kept, key=_number)]
    )


def _number(row: TrialRow) -> int:
    return row.number


def _cells(row: TrialRow, progress: Progress, varied: list[str], with_reasons: bool) -> list[str]:
    values = [row.metrics.get(name) for name in progress.objectives]
    return [
        str(row.number),
        f"{row.state}: {row.reason[:60]}" if with_reasons and row.state == "failed" and row.reason else row.state,
        f"{row.epoch}/{row.epochs}" if row.epochs else str(row.epoch),
        *["" if value is None else show_number(value) for value in values],
        *[show_value(row.params.get(key, "")) for key in varied],
    ]


@contextmanager
def watching() -> Iterator[Watch]:
    """A view in a notebook, the live table where standard error is a terminal, plain lines elsewhere."""
    from seisweep.screen.notebook import NotebookView, in_notebook

    if in_notebook():
        view = NotebookView()
        try:
            yield view
        finally:
            view.close()
        return
    if not redraws(sys.stderr):
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

    with Bar(console=Console(stderr=True), transient=True, disable=not redraws(sys.stderr)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
