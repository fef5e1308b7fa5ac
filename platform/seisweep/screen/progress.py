"""Where a sweep stands: a row for each trial; counts, best so far, rate, time left.

Every update costs the same however many trials there were before it: a sweep may have thousands.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from seisweep.engine.outcome import OVER, TrialRow
from seisweep.statistics.objective import Objective
from seisweep.text import show_number, show_seconds


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
        self.varied: dict[str, None] = {}
        """Keys that some trial has, in the order in which they came."""
        self.counts: Counter[str] = Counter()
        """Trials by state."""
        self._best: dict[bool, tuple[str, float, TrialRow]] = {}
        """The best value of a trial that is done, and of all others."""

    def begin(self, objectives: Mapping[str, str], num_trials: int | None) -> None:
        self.objectives, self.num_trials = dict(objectives), num_trials
        self.start_s = self.clock()

    def update(self, row: TrialRow) -> bool:
        """Take a row; True when the trial's state changed."""
        before = self.rows.get(row.trial_id)
        self.rows[row.trial_id] = row
        if before is not None:
            self.counts[before.state] -= 1
        self.counts[row.state] += 1
        self.varied |= dict.fromkeys(row.params)
        self._note_best(row)
        self.any_ran = self.any_ran or row.state == "running"
        if before is None and row.state in OVER and not self.any_ran:
            # A resumed sweep first shows what was done before, which says nothing about its rate.
            self.over_before += 1
        return before is None or before.state != row.state

    @property
    def over(self) -> int:
        return sum(self.counts[state] for state in OVER)

    def best(self) -> tuple[str, float, TrialRow] | None:
        """The first objective, the best value of a finished trial, and that trial; while none has finished, of any.

        Of any epoch: a trial ends with its best weights, so a later, worse epoch takes nothing away.
        """
        return self._best.get(True) or self._best.get(False)

    def _note_best(self, row: TrialRow) -> None:
        if not self.objectives or row.state == "failed":
            return
        objective, is_done = Objective.first(self.objectives), row.state == "done"
        value = row.metrics.get(objective.metric)
        before = self._best[is_done][1] if is_done in self._best else None
        if value is not None and objective.better(value, before):
            self._best[is_done] = objective.metric, value, row

    def _best_in_words(self) -> list[str]:
        """The best so far, and a trial under way that is better by now."""
        if (best := self.best()) is None:
            return []
        words = [f"best {best[0]} {show_number(best[1])} (trial {best[2].number})"]
        other = self._best.get(False)
        under_way = other is not None and self.rows[other[2].trial_id].state == "running"
        if other is not None and under_way and Objective.first(self.objectives).better(other[1], best[1]):
            words.append(f"{show_number(other[1])} under way (trial {other[2].number})")
        return words

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
        parts += self._best_in_words()
        if failed := self.counts["failed"]:
            parts.append(f"{failed} failed")
        if self.trials_per_hour:
            parts.append(f"{self.trials_per_hour:.0f} trials/hour")
        if (left := self.seconds_left()) and self.over != self.num_trials:
            parts.append(f"about {show_seconds(left)} left")
        return ", ".join(parts)
