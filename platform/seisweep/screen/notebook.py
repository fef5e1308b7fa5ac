"""What a notebook shows of a sweep: one output of the cell that redraws itself, a line, a bar, a table, what was said.

A notebook keeps what was drawn last, also without a kernel, on a page, or where no HTML is shown: there as plain text.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from html import escape
from typing import TYPE_CHECKING, Any

from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.screen.live import WHOSE_SCORES, Shown, shown_of
from seisweep.screen.progress import Progress
from seisweep.screen.tables import as_table

if TYPE_CHECKING:
    from search_spaces.sweep import Sweep

REDRAW_EVERY_S = 0.5
MOST_ROWS, MOST_LINES = 20, 20
COLOURS = {"failed": "color:#d32f2f", "running": "font-weight:bold", "stopped": "opacity:.6"}


def in_notebook() -> bool:
    """Whether this runs in a kernel, which shows HTML; not in a terminal of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookView:
    """Redraws at most twice a second, however many trials report."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.name, self.state = "", ""
        self.lines: list[str] = []
        self._handle: Any = None
        self._drawing, self._changed, self._over = threading.Lock(), threading.Event(), threading.Event()
        # A thread has to be told which cell's output it draws into.
        here = contextvars.copy_context()
        self._thread = threading.Thread(target=here.run, args=(self._keep_drawing,), name="notebook", daemon=True)

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self.name, self.state = name, "running"
        self.progress.begin(sweep.objectives, num_trials)
        self.draw()
        self._thread.start()

    def trial_update(self, row: TrialRow) -> None:
        self.progress.update(row)
        self._changed.set()

    def log(self, line: str) -> None:
        self.lines.append(line)
        self.draw()

    def finished(self, outcome: Outcome) -> None:
        self.state = outcome.state
        self.close()

    def close(self) -> None:
        """The last drawing; also where the sweep raised."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._handle is not None:
            self.draw()

    def _keep_drawing(self) -> None:
        while not self._over.wait(REDRAW_EVERY_S):
            if self._changed.is_set():
                self.draw()

    def draw(self) -> None:
        from IPython.display import display

        with self._drawing:
            self._changed.clear()
            bundle = {"text/html": self.html(), "text/plain": self.text()}
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)

    def text(self) -> str:
        shown = shown_of(self.progress, MOST_ROWS)
        table = as_table([dict(zip(shown.headings, cells, strict=True)) for _, cells in shown.rows])
        return "\n".join(filter(None, [self._heading(), table, *self._lines_in_short()]))

    def html(self) -> str:
        shown = shown_of(self.progress, MOST_ROWS)
        parts = [f"<div>{escape(self._heading())}</div>", self._bar()]
        if shown.rows:
            parts.append(_table(shown))
        if self.lines:
            parts.append(f"<pre>{escape(chr(10).join(self._lines_in_short()))}</pre>")
        return "".join(parts)

    def _heading(self) -> str:
        return f"{self.name} {self.state}: {self.progress.summary()}" if self.name else "seisweep is starting"

    def _bar(self) -> str:
        total = self.progress.num_trials
        return f'<progress value="{self.progress.over}" max="{total}" style="width:20em"></progress>' if total else ""

    def _lines_in_short(self) -> list[str]:
        left_out = len(self.lines) - MOST_LINES
        first = [f"... {left_out} lines more, all of them in screen.log of the sweep's folder"] if left_out > 0 else []
        return [*first, *self.lines[-MOST_LINES:]]


def _table(shown: Shown) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in shown.headings)
    rows = [
        f'<tr style="{COLOURS.get(state, "")}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for state, cells in shown.rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table><small>{WHOSE_SCORES}</small>"
