"""Where a sweep stands: a row for each trial; counts, best so far, time passed and left.

Every update costs the same however many trials there were before it: a sweep may have thousands.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from seisweep.engine.outcome import OVER, TrialRow
from seisweep.statistics.objective import Objective
from seisweep.text import show_clock, show_number, show_seconds

PACE_OVER = 50
"""Reports by which the pace is judged."""
LEAST_EPOCHS = 0.5
"""What a trial has left that has had all its epochs: its files are written then."""


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
        self.running: dict[str, TrialRow] = {}
        """Those under way, by their ids."""
        self.epochs = Epochs(clock)
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
        self._note_epochs(before, row)
        self.any_ran = self.any_ran or row.state == "running"
        if before is None and row.state in OVER and not self.any_ran:
            # A resumed sweep first shows what was done before, which says nothing about its rate.
            self.over_before += 1
        return before is None or before.state != row.state

    def _note_epochs(self, before: TrialRow | None, row: TrialRow) -> None:
        if row.state == "running":
            self.running[row.trial_id] = row
            self.epochs.begin()
        else:
            self.running.pop(row.trial_id, None)
        if before is not None and row.epoch > before.epoch:  # the first row of a resumed trial has what it had before
            self.epochs.more(row.epoch - before.epoch)
        if row.state in ("done", "stopped") and row.epoch and (before is None or before.state != row.state):
            self.epochs.of_trials[row.epoch] += 1

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
        """The best so far, and a running trial that is better by now."""
        if (best := self.best()) is None:
            return []
        words = [f"best {best[0]} {show_number(best[1])} (trial {best[2].number})"]
        other = self._best.get(False)
        under_way = other is not None and self.rows[other[2].trial_id].state == "running"
        if other is not None and under_way and Objective.first(self.objectives).better(other[1], best[1]):
            words.append(f"running: {show_number(other[1])} (trial {other[2].number})")
        return words

    @property
    def elapsed_s(self) -> float:
        """Of this session."""
        return self.clock() - self.start_s

    @property
    def trials_per_hour(self) -> float:
        hours = self.elapsed_s / 3600
        return (self.over - self.over_before) / hours if hours > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Time until the last trial; None before anything says it.

        It learns: how many epochs trials get from those that are over (early stopping lets few have all of them), and
        how long an epoch takes from the latest ones. Before a trial is over each is taken to have all epochs that it
        may have: see `is_bound`. Of trials that report no epochs the rate at which they end says it.
        """
        if not self.num_trials:
            return None
        if self.epochs.per_second and (left := self._epochs_left()) is not None:
            return left / self.epochs.per_second
        if not self.trials_per_hour:
            return None
        return max(0, self.num_trials - self.over) / self.trials_per_hour * 3600

    @property
    def is_bound(self) -> bool:
        """Whether the time left is the most that it can be at this pace: no trial has shown how many epochs it gets."""
        return bool(self.epochs.per_second) and not self.epochs.of_trials

    def _epochs_left(self) -> float | None:
        """Of all trials, those not begun included."""
        assert self.num_trials
        running = list(self.running.values())  # of this moment: the driver goes on meanwhile
        bounds = [row.epochs for row in running if row.epochs]
        each = self.epochs.expected(0, max(bounds, default=None))
        to_begin = max(0, self.num_trials - self.over - len(running))
        under_way = [self.epochs.expected(row.epoch, row.epochs) for row in running]
        if each is None or None in under_way:
            return None
        return to_begin * each + sum(left for left in under_way if left)

    @property
    def share_over(self) -> float:
        """Of all trials, 0 to 1; one under way counts by its epochs."""
        if not self.num_trials:
            return 0.0
        parts = sum(min(1.0, row.epoch / row.epochs) for row in list(self.running.values()) if row.epochs)
        return min(1.0, (self.over + parts) / self.num_trials)

    def counts_in_words(self) -> str:
        """`5 of 12 ended: 3 done, 1 stopped, 1 failed; 2 running`; done is what got to its end."""
        total = f" of {self.num_trials}" if self.num_trials else ""
        ends = [f"{count} {state}" for state in OVER if (count := self.counts[state])]
        over = f"{self.over}{total} ended" + (f": {', '.join(ends)}" if len(ends) > 1 else "")
        if len(ends) == 1:  # all over in the same way
            over = f"{self.over}{total} {ends[0].partition(' ')[2]}"
        return "; ".join([over, *([f"{running} running"] if (running := self.counts["running"]) else [])])

    def best_in_words(self) -> str:
        return ", ".join(self._best_in_words())

    def time_in_words(self) -> str:
        """`3:12 elapsed, about 4 min left`."""
        parts = [f"{show_clock(self.elapsed_s)} elapsed"]
        if (left := self.seconds_left()) and self.over != self.num_trials:
            parts.append(f"{'at most' if self.is_bound else 'about'} {show_seconds(left)} left")
        return ", ".join(parts)

    def summary(self) -> str:
        """`5 of 12 ended: 3 done, 1 stopped, 1 failed; 2 running; best dev/f1 0.871 (trial 3); 3:12 elapsed, about 4
        min left`."""
        return "; ".join(filter(None, [self.counts_in_words(), self.best_in_words(), self.time_in_words()]))


class Epochs:
    """How many epochs trials get, and how many the whole sweep does in a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.of_trials: Counter[int] = Counter()
        """Of trials that are done or stopped: how many ended after so many epochs."""
        self._seen = 0
        self._latest: deque[tuple[float, int]] = deque(maxlen=PACE_OVER)
        """When so many epochs had been seen in this session."""

    def begin(self) -> None:
        """A trial runs: from now on time counts."""
        if not self._latest:
            self._latest.append((self.clock(), 0))

    def more(self, count: int) -> None:
        self._seen += count
        self._latest.append((self.clock(), self._seen))

    @property
    def per_second(self) -> float:
        """By the latest reports of all trials; a silence slows it down."""
        if not self._seen or len(self._latest) < 2:
            return 0.0
        (since_s, before), (_, seen) = self._latest[0], self._latest[-1]
        return (seen - before) / max(self.clock() - since_s, 1e-3)

    def expected(self, after: int, bound: int | None) -> float | None:
        """How many epochs more a trial gets that has had `after`: as those did that got further, else up to its bound;
        None where nothing says it."""
        further = {epochs: count for epochs, count in list(self.of_trials.items()) if epochs > after}
        if further:
            return sum((epochs - after) * count for epochs, count in further.items()) / sum(further.values())
        return max(LEAST_EPOCHS, bound - after) if bound else None
