"""How well scores are known: 95 % intervals in tables, and whether the best two can be told apart.

Intervals come with a trial's metrics (`dev/f1_low`, `dev/f1_high`); the comparison is a bootstrap over the dev events
of both, from the counts that each has left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seisweep.text import show_number
from trainables import metrics
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.counts import EventCounts, counts_behind

LEVEL = "95 %"
NONE_KEPT = "no 95 % intervals: no trial has left counts by event for these scores"
TEACHER = "teacher"
DEV, OWN = "dev/", f"{TEACHER}/"


class Interval(NamedTuple):
    """Ends of a 95 % interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3f} .. {self.high:.3f}"


def interval_of(values: Mapping[str, Any], metric: str) -> Interval | None:
    """A score's interval among the metrics of a trial; None where it has none."""
    low, high = (values.get(name, math.nan) for name in metrics.interval(metric))
    return Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None


def heading(metric: str) -> str:
    """Of the column beside a score that holds its interval."""
    return f"{metric} {LEVEL}"


def with_intervals(
    row: Mapping[str, Any], values: Mapping[str, Any], having: Iterable[str], nothing: str | None = None
) -> dict[str, Any]:
    """A row of a table with the interval of each score in `having` behind it. `values`: the metrics of its trial."""
    beside = set(having)
    wide: dict[str, Any] = {}
    for key, value in row.items():
        wide[key] = value
        if key in beside:
            found = interval_of(values, key)
            wide[heading(key)] = str(found) if found else nothing
    return wide


def scores_with_intervals(shown: Iterable[str], trials: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of the shown columns for which some trial has an interval."""
    known = {name for values in trials for name in values if name.endswith(metrics.interval("")[0])}
    return [name for name in shown if metrics.interval(name)[0] in known]


class Measured(NamedTuple):
    """The metrics of a trial, or a teacher's own as if they were one's (`dev/f1` ...), and its settings."""

    metrics: Mapping[str, float]
    params: Mapping[str, Any]


def teachers(trials: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], shown: Sequence[str]) -> list[Measured]:
    """The teachers of some trials, given as metrics and settings; each once, in the order in which they come. None
    where no shown metric is one that teachers have."""
    found: dict[tuple[float, ...], Measured] = {}
    for values, params in trials:
        own = {name: value for name, value in sorted(values.items()) if name.startswith(OWN)}
        as_trial = {f"{DEV}{name.removeprefix(OWN)}": value for name, value in own.items()}
        if not as_trial.keys().isdisjoint(shown):
            which = {key: value for key, value in params.items() if key.partition(".")[0] in (TEACHER, "teachers")}
            found.setdefault(tuple(as_trial.values()), Measured(as_trial, which))
    return list(found.values())


class Told(NamedTuple):
    """Two trials on the same dev events."""

    words: str
    apart: bool


def tell_apart(
    metric: str,
    first: tuple[int | str, Mapping[str, EventCounts]],
    second: tuple[int | str, Mapping[str, EventCounts]],
) -> Told | None:
    """Whether the better one of two trials, by number or name, is better by more than chance; None where their counts
    do not say it."""
    (one, counts_of_one), (other, counts_of_other) = first, second
    a, b = counts_behind(metric, counts_of_one), counts_behind(metric, counts_of_other)
    if a is None or b is None:
        return None
    try:
        difference, low, high = paired_f1_difference(a, b)
    except ValueError:  # measured on other events
        return None
    apart = low > 0 or high < 0
    which = f"{'can' if apart else 'cannot'} be told apart on these {len(a.events)} dev events"
    size = f"{metric} differs by {show_number(difference)}, {LEVEL} {Interval(low, high)}"
    return Told(f"the best two, trials {one} and {other}, {which}: {size}", apart)


def what_intervals_are(shown: Sequence[str], of_the_best: bool) -> str:
    """A line under a table that has some. `of_the_best`: of several trials, with those that were
    stopped early."""
    blocks = " (of agreement: blocks of time and station)" if metrics.AGREEMENT_F1 in shown else ""
    chosen = "; the best of several trials was chosen on these events, which makes its score too good"
    what = f"{LEVEL}: intervals of {', '.join(shown)} by the bootstrap over dev events{blocks}"
    return what + (chosen if of_the_best else "")
