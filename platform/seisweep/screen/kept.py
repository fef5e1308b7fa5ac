"""What a sweep says on the screen is kept in its folder too, so that another terminal can read and follow it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from search_spaces.sweep import Sweep
from seisweep.engine.outcome import Outcome, TrialRow, Watch
from seisweep.screen.live import PlainLines, watching
from seisweep.settings.home import Home

SCREEN_FILE = "screen.log"
"""Of the folder of a sweep: plain lines, of all of its sessions."""


class Kept:
    """Shows a sweep as another watch does, and writes plain lines of it into its folder. That may fail and costs the
    sweep nothing."""

    def __init__(self, watch: Watch, home: Home) -> None:
        self._watch, self._home = watch, home
        self._file: IO[str] | None = None
        self._lines: PlainLines | None = None
        self._before: list[str] = []
        """Said before the sweep had a folder."""

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self._watch.started(sweep, name, num_trials)
        with contextlib.suppress(OSError):
            file = Path(self._home.sweep_dir(name), SCREEN_FILE)
            self._file = file.open("a", encoding="utf-8")  # closed with the watch
            self._lines = PlainLines(self._file)
            for line in self._before:
                self._lines.log(line)
            self._lines.started(sweep, name, num_trials)

    def trial_update(self, row: TrialRow) -> None:
        self._watch.trial_update(row)
        if self._lines:
            with contextlib.suppress(OSError):
                self._lines.trial_update(row)

    def log(self, line: str) -> None:
        self._watch.log(line)
        if self._lines is None:
            self._before.append(line)
        else:
            with contextlib.suppress(OSError):
                self._lines.log(line)

    def finished(self, outcome: Outcome) -> None:
        self._watch.finished(outcome)
        if self._lines:
            with contextlib.suppress(OSError):
                self._lines.finished(outcome)

    def close(self) -> None:
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()


@contextlib.contextmanager
def watching_and_keeping(home: Home) -> Iterator[Watch]:
    """What a terminal shows of a sweep of this home."""
    with watching() as watch:
        kept = Kept(watch, home)
        try:
            yield kept
        finally:
            kept.close()
