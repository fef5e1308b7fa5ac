"""Does the winner of a sweep stay the winner? Its configuration against the next ones, over seeds of their own.

Each is compared with the winner seed by seed, by a paired t-test, two-sided. With several comparisons the smallest
p-value is small by chance, so they are corrected for their number by Holm's step-down (Holm 1979, Scand. J. Statist. 6,
65-70), which holds whatever the comparisons have to do with each other.

Seeds say what training leaves to chance. All of them are measured on the same few dev events, and a configuration may
suit these and no others: so whoever is called better must also be so by the paired bootstrap over events, where the
trials have left their counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from scipy.special import stdtr, stdtrit

from search_spaces.sweep import Confirms
from seisweep.statistics.conditions import LEVEL, RANGE, Baseline, Condition, Estimate, differences
from seisweep.statistics.conditions import as_frame as conditions_frame
from seisweep.statistics.objective import Objective
from seisweep.text import short_names, show_number, show_settings
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.counts import EventCounts

NO_SPREAD = 1e-9
"""Values so near each other are equal but for rounding."""


class Comparison(NamedTuple):
    """A configuration against the winner of the first sweep, over the seeds that both have."""

    difference: Estimate
    """Its value minus the winner's."""
    p: float
    """Of the paired t-test; NaN with fewer than two pairs."""
    p_holm: float
    """The same, corrected for the number of comparisons."""


def named(found: Sequence[Condition], confirms: Confirms) -> list[Condition]:
    """The conditions under the names of their trials in the first sweep. They stand in the order of its points."""
    trials = confirms.trials[: len(found)]
    return [replace(one, name=f"trial {trial}") for one, trial in zip(found, trials, strict=True)]


def compare(found: Sequence[Condition]) -> list[Comparison]:
    """Every condition after the first with the first."""
    paired = [Estimate.of(differences(other, found[0]).values()) for other in found[1:]]
    p_values = [p_value(estimate) for estimate in paired]
    return [Comparison(*three) for three in zip(paired, p_values, holm(p_values), strict=True)]


def p_value(paired: Estimate) -> float:
    """Two-sided, that the mean difference is zero: t = mean / (sd / sqrt n) with n - 1 degrees of freedom."""
    if paired.size < 2:
        return math.nan
    if paired.sd < NO_SPREAD:
        return 1.0 if abs(paired.mean) < NO_SPREAD else 0.0
    return float(2 * stdtr(paired.size - 1, -abs(paired.mean) / paired.sd * math.sqrt(paired.size)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The smallest times their number, the next times one less ..., none below the one before it, at most 1.

    One that could not be tested (NaN) stays so and counts for nothing.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, least = list(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - rank)))
        corrected[place] = least
    return corrected


def table_rows(found: Sequence[Condition], confirms: Confirms, metric: str) -> list[dict[str, Any]]:
    """For people: the trial, what the first sweep had, mean, spread and interval, the comparison with the winner,
    and of the settings those that differ."""
    differing = _differing(found)
    any_missing = any(one.missing for one in found)
    rows = []
    compared: list[Comparison | None] = [None, *compare(found)]
    for place, (one, comparison) in enumerate(zip(found, compared, strict=True)):
        own = Estimate.of(one.values.values())
        row: dict[str, Any] = {"trial": confirms.trials[place], f"in {confirms.sweep}": confirms.values[place]}
        row |= {"seeds": own.size} | ({"missing": one.missing} if any_missing else {})
        row |= {metric: own.mean, "sd": own.sd, RANGE: _interval(own)}
        if len(found) > 1:
            row |= {"difference": math.nan, "its interval": "winner", "p": math.nan, "p (Holm)": math.nan}
        if comparison:
            row |= {"difference": comparison.difference.mean, "its interval": _interval(comparison.difference)}
            row |= {"p": comparison.p, "p (Holm)": comparison.p_holm}
        rows.append(row | {heading: one.params.get(key) for key, heading in differing.items()})
    return rows


def as_frame(found: Sequence[Condition], confirms: Confirms) -> pd.DataFrame:
    """The frame of the conditions (`conditions.as_frame`) with four columns more: trial and value in the first sweep,
    p and p_holm of the comparison with its winner."""
    frame = conditions_frame(found, Baseline(found))
    compared = compare(found) if len(found) else []
    frame.insert(0, "trial", confirms.trials[: len(found)])
    frame.insert(1, "in_first_sweep", confirms.values[: len(found)])
    return frame.assign(
        p=[math.nan, *(one.p for one in compared)][: len(found)],
        p_holm=[math.nan, *(one.p_holm for one in compared)][: len(found)],
    )


def verdict(
    found: Sequence[Condition],
    confirms: Confirms,
    objective: Objective,
    events: Sequence[EventCounts | None] = (),
) -> list[str]:
    """Sentences: does the winner stay the winner, what was luck, what so few seeds can see.

    `events`: of each condition its counts by dev event, over all seeds, where there are any.
    """
    winner = Estimate.of(found[0].values.values())
    who = f"trial {confirms.trials[0]}, the winner of {confirms.sweep}"
    if winner.size < 2:
        return [f"{who}, has ended with {winner.size} fresh seeds so far: too early to say whether it is the best"]
    by_events = on_events(events)
    of_trials = zip(confirms.trials[1:], by_events, strict=False)
    doubtful = {trial: one.size for trial, one in of_trials if one and one.low <= 0 <= one.high}
    lines = [_judged(found, confirms, objective, doubtful)] if len(found) > 1 else []
    return [*lines, _luck(winner, who, confirms, objective), *_power(found, objective, [*filter(None, by_events)])]


class OnEvents(NamedTuple):
    """A difference from the winner as the choice of dev events leaves it open."""

    difference: float
    low: float
    high: float
    size: int
    """How many events there are."""

    @property
    def least(self) -> float:
        """What a difference must exceed to be told from zero on them: its distance from the nearer end."""
        return self.difference - self.low if self.difference >= 0 else self.high - self.difference


def on_events(events: Sequence[EventCounts | None]) -> list[OnEvents | None]:
    """The first configuration compared with each other one; None where not both have left counts of the same events."""
    if len(events) < 2 or (winner := events[0]) is None:
        return []
    level = _level(len(events) - 1)
    return [
        OnEvents(*paired_f1_difference(other, winner, level=level), len(winner.events))
        if other is not None and other.events == winner.events
        else None
        for other in events[1:]
    ]


def _level(comparisons: int) -> float:
    """Of several comparisons each has its share of the 5 % (Bonferroni, which is the first step of Holm's)."""
    return 1 - (1 - LEVEL) / comparisons


def _judged(
    found: Sequence[Condition], confirms: Confirms, objective: Objective, doubtful_by_events: Mapping[int, int]
) -> str:
    """The answer, in one sentence."""
    trial = f"trial {confirms.trials[0]}"
    compared = dict(zip(confirms.trials[1:], compare(found), strict=False))
    compared = {number: one for number, one in compared.items() if one.difference.size >= 2}
    if not compared:
        return f"no other configuration has ended with two of the seeds of {trial}: nothing can be compared yet"
    by_seeds = {number: one for number, one in compared.items() if one.p_holm < 1 - LEVEL}
    certain = {number: one for number, one in by_seeds.items() if number not in doubtful_by_events}
    better = {n: one for n, one in compared.items() if objective.gain(one.difference.mean) > 0}
    best = max(compared, key=lambda n: objective.gain(compared[n].difference.mean))
    gap = compared[best].difference
    low, high = sorted((gap.low, gap.high) if gap.mean >= 0 else (-gap.low, -gap.high))
    interval = f"{show_number(low)} .. {show_number(high)}"
    size = f"{show_number(abs(gap.mean))} ({RANGE} {interval}, p {show_p(compared[best].p_holm)} after Holm)"
    if best in better and best in certain:
        return (
            f"the winner does not stay the winner: trial {best} is better than {trial} by {size} in {objective.metric}"
        )
    if better:
        what = f"these {doubtful_by_events[best]} dev events" if best in by_seeds else "these seeds"
        return (
            f"the winner does not stay in front: the mean {objective.metric} of trial {best} is better than that of "
            f"{trial} by {size}, which {what} cannot tell from chance"
        )
    if len(certain) == len(compared):
        return (
            f"the winner stays the winner: {trial} is better than the next, trial {best}, by {size} in "
            f"{objective.metric}"
        )
    doubtful = ", ".join(str(number) for number in compared if number not in certain)
    unseen = [number for number in by_seeds if number not in certain]
    what = f"these seeds on {doubtful_by_events[unseen[0]]} dev events" if unseen else "these seeds"
    return (
        f"the winner stays in front, and {what} cannot tell it from trial{'s' if ',' in doubtful else ''} "
        f"{doubtful}: its mean {objective.metric} is better than that of trial {best} by {size}"
    )


def _luck(winner: Estimate, who: str, confirms: Confirms, objective: Objective) -> str:
    """What the first sweep promised, and what fresh seeds give."""
    gain = objective.gain(confirms.values[0] - winner.mean)
    spread = f", {show_number(abs(gain) / winner.sd)} standard deviations of a seed" if winner.sd > NO_SPREAD else ""
    otherwise = f" and {show_settings(confirms.settings)}" if confirms.settings else ""
    return (
        f"{who}, had a {objective.metric} of {show_number(confirms.values[0])} there; with fresh seeds{otherwise} "
        f"its mean is {show_number(winner.mean)} ({RANGE} {_interval(winner)}), {show_number(abs(gain))} "
        f"{'worse' if gain >= 0 else 'better'}{spread}"
    )


def _power(found: Sequence[Condition], objective: Objective, by_events: Sequence[OnEvents]) -> list[str]:
    """What dev can show with so many seeds and events: the least difference that would be told from zero by both.

    By seeds that is t sd / sqrt n, by events half the interval of the bootstrap, each at the level of so many
    comparisons, and of these the widest. A true difference of that size exceeds it in about half of all repetitions.
    """
    spreads = [one.difference for one in compare(found) if one.difference.size > 1]
    fewest = min((one.values for one in found), key=len)
    if all(max(one.values.values()) - min(one.values.values()) < NO_SPREAD for one in found if one.values):
        return ["every seed gave the same: the seed decides nothing about these trials, and the spread says nothing"]
    if not spreads:
        return []
    share = 0.5 + _level(len(spreads)) / 2
    of_seeds = max(float(stdtrit(one.size - 1, share)) * one.sd / math.sqrt(one.size) for one in spreads)
    of_events = max((one.least for one in by_events), default=0.0)
    on_what, parts = f"{len(fewest)} seeds", ""
    if by_events:
        on_what += f" on {by_events[0].size} dev events"
        parts = f" ({show_number(of_seeds)} by the seeds, {show_number(of_events)} by the events)"
    return [
        f"with {on_what}, the smallest difference in {objective.metric} that can be shown is "
        f"{show_number(max(of_seeds, of_events))}{parts}; a true one of that size is shown about every other time, and "
        "a p-value above 0.05 does not mean that two configurations are equal"
    ]


def _interval(estimate: Estimate) -> str | None:
    return f"{show_number(estimate.low)} .. {show_number(estimate.high)}" if estimate.size > 1 else None


def show_p(p: float) -> str:
    """ "0.03", "0.004", "below 0.001"."""
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def _differing(found: Sequence[Condition]) -> dict[str, str]:
    """Keys that do not have one value in all of them, with a short heading for each."""
    keys = list(dict.fromkeys(key for one in found for key in one.params))
    return short_names([key for key in keys if len({repr(one.params.get(key)) for one in found}) > 1])
