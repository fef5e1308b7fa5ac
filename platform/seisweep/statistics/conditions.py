"""Several seeds as one result: the conditions of a sweep, their mean and spread, their differences seed by seed.

A condition is what varies between trials but the seed. The trials of one seed share their data and everything that
the seed decides, so conditions are compared by the differences within seeds (a paired comparison): what a seed does
to both of them drops out. Intervals are those of Student's t distribution at 95 %, each for itself: among twenty
comparisons without any effect, one leaves zero outside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from seisweep.settings.fields import nearest
from seisweep.settings.words import words_apart
from seisweep.statistics.objective import Objective
from seisweep.text import show_number, show_settings, show_value

LEVEL = 0.95
SEED_KEY = "seed"
"""The seed among the settings of a trial: no condition is told by it."""
RANGE = "95 % interval"
LONGEST_LABEL = 40


class Measured(NamedTuple):
    """What one trial says about its condition."""

    params: Mapping[str, Any]
    """What was varied, by dotted key; the seed may be among them."""
    seed: int
    value: float | None
    """None or NaN where the trial did not get to its end."""


@dataclass(frozen=True)
class Condition:
    """A combination of settings, and what came of it with each seed."""

    params: dict[str, Any]
    values: dict[int, float] = field(default_factory=dict)
    """By seed; of trials that got to their end."""
    trials: list[int] = field(default_factory=list)
    """Which of the trials given were of this condition, by their place in that order."""
    name: str = ""
    """What it is called in figures, in the place of its settings."""

    @property
    def missing(self) -> int:
        """Trials without a value: failed, stopped early, or not over."""
        return len(self.trials) - len(self.values)

    @property
    def settings(self) -> str:
        """As they are typed."""
        return show_settings(self.params)

    def label(self, without: str | None = None) -> str:
        """For a figure: `pretrained, full, classes 4`; words stand for themselves, numbers want their name."""
        if self.name:
            return self.name
        keys = {key: name for key, name in words_apart(self.params).items() if key != without}
        return ", ".join(
            _shortened(show_value(self.params[key]))
            if isinstance(self.params[key], str | list)
            else f"{name} {show_value(self.params[key])}"
            for key, name in keys.items()
        )


class Estimate(NamedTuple):
    """Mean of a few values and how far it can be trusted; NaN where there are too few values to say."""

    size: int
    mean: float
    sd: float
    """Standard deviation of the values, with size - 1."""
    low: float
    high: float
    """Ends of the mean's 95 % interval by the t distribution."""

    @classmethod
    def of(cls, values: Iterable[float]) -> Estimate:
        given = np.array(list(values), dtype=float)
        count = len(given)
        mean = float(given.mean()) if count else math.nan
        sd = float(given.std(ddof=1)) if count > 1 else math.nan
        half = float(stdtrit(count - 1, 0.5 + LEVEL / 2)) * sd / math.sqrt(count) if count > 1 else math.nan
        return cls(count, mean, sd, mean - half, mean + half)


def group(trials: Iterable[Measured]) -> list[Condition]:
    """The conditions in the order in which they first appear. A seed that ran twice counts once, the last time."""
    found: dict[str, Condition] = {}
    for place, trial in enumerate(trials):
        params = {key: value for key, value in trial.params.items() if key != SEED_KEY}
        condition = found.setdefault(json.dumps(params, sort_keys=True, default=str), Condition(params))
        condition.trials.append(place)
        if trial.value is not None and math.isfinite(trial.value):
            condition.values[trial.seed] = float(trial.value)
    return list(found.values())


class Baseline:
    """Whom each condition is compared with: the one that has these settings and else the same.

    Where a single condition has them, it is everybody's baseline: `{"model.start": "random"}` of an ablation. Where
    several have them, each of the others is compared with the one that agrees in the rest: with the same few-shot
    fraction from random weights.
    """

    def __init__(self, conditions: Sequence[Condition], settings: Mapping[str, Any] | None = None) -> None:
        """`settings` None: the first condition is everybody's baseline. Raises ValueError where none has them."""
        self.settings = dict(conditions[0].params if settings is None and conditions else settings or {})
        self.holders = [condition for condition in conditions if self.settings.items() <= condition.params.items()]
        if settings is None:
            self.holders = self.holders[:1]
        if not self.holders and conditions:
            _complain(self.settings, conditions)

    @classmethod
    def usual(cls, conditions: Sequence[Condition], settings: Mapping[str, Any]) -> Baseline:
        """The sweep's own, where its conditions still have one after narrowing; else the first."""
        held = any(settings.items() <= condition.params.items() for condition in conditions)
        return cls(conditions, settings if settings and held else None)

    def of(self, condition: Condition) -> Condition | None:
        """None for a baseline itself, and where no baseline agrees with the condition in the rest."""
        if condition in self.holders:
            return None
        if len(self.holders) == 1:
            return self.holders[0]
        rest = {key: value for key, value in condition.params.items() if key not in self.settings}
        agreeing = [
            holder
            for holder in self.holders
            if all(rest.get(key) == value for key, value in holder.params.items() if key not in self.settings)
        ]
        return max(agreeing, key=lambda holder: len(holder.params), default=None)

    @property
    def words(self) -> str:
        """What a table says under it."""
        rest = " and else the same settings" if len(self.holders) > 1 else ""
        how = f"over the seeds of both; {RANGE} by the t distribution"
        return f"difference: from {show_settings(self.settings)}{rest}, {how}"


def differences(condition: Condition, baseline: Condition) -> dict[int, float]:
    """Condition minus baseline, for each seed that both have."""
    return {seed: value - baseline.values[seed] for seed, value in condition.values.items() if seed in baseline.values}


def best_conditions(found: Iterable[Condition], objective: Objective) -> list[Condition]:
    """Those that have a finished trial, the best mean first; of two equal ones the first of the grid."""
    finished = [condition for condition in found if condition.values]
    order = objective.best_first([Estimate.of(condition.values.values()).mean for condition in finished])
    return [finished[place] for place in order]


def as_frame(conditions: Sequence[Condition], baseline: Baseline) -> pd.DataFrame:
    """One row a condition: its settings; seeds, missing, mean, sd, low, high; baseline, difference, difference_low,
    difference_high, pairs. `low` and `high` end a 95 % interval; the last five are empty for a baseline.
    """
    keys = list(dict.fromkeys(key for condition in conditions for key in condition.params))
    rows = []
    for condition in conditions:
        own, other = Estimate.of(condition.values.values()), baseline.of(condition)
        paired = Estimate.of(differences(condition, other).values()) if other else None
        rows.append(
            {key: condition.params.get(key) for key in keys}
            | {"seeds": own.size, "missing": condition.missing}
            | {"mean": own.mean, "sd": own.sd, "low": own.low, "high": own.high}
            | {
                "baseline": other.settings if other else "",
                "difference": paired.mean if paired else math.nan,
                "difference_low": paired.low if paired else math.nan,
                "difference_high": paired.high if paired else math.nan,
                "pairs": paired.size if paired else 0,
            }
        )
    return pd.DataFrame(rows)


def table_rows(conditions: Sequence[Condition], baseline: Baseline, metric: str) -> list[dict[str, Any]]:
    """The same for people: the mean under the metric's name, intervals as text, columns that say nothing left out."""
    any_missing = any(condition.missing for condition in conditions)
    keys = list(dict.fromkeys(key for condition in conditions for key in condition.params))
    rows = []
    for condition in conditions:
        own, other = Estimate.of(condition.values.values()), baseline.of(condition)
        row = {key: condition.params.get(key) for key in keys} | {"seeds": own.size}
        row |= {"missing": condition.missing} if any_missing else {}
        row |= {metric: own.mean, "sd": own.sd}
        if len(conditions) > 1:
            row |= {"difference": math.nan, RANGE: "baseline" if condition in baseline.holders else None, "pairs": None}
        if other:
            paired = Estimate.of(differences(condition, other).values())
            interval = f"{show_number(paired.low)} .. {show_number(paired.high)}" if paired.size > 1 else None
            row |= {"difference": paired.mean, RANGE: interval, "pairs": paired.size}
        rows.append(row)
    return rows


def _shortened(text: str) -> str:
    """The end of a long path is what tells it from another."""
    return text if len(text) <= LONGEST_LABEL else f"...{text[3 - LONGEST_LABEL :]}"


def _complain(settings: Mapping[str, Any], conditions: Sequence[Condition]) -> None:
    """No condition has these settings. Raises ValueError that names what there is."""
    wanted = show_settings(settings)
    known = list(dict.fromkeys(key for condition in conditions for key in condition.params))
    for key in settings:
        if key not in known:
            raise ValueError(f"baseline {wanted}: {key} does not vary{nearest(key, known)}")
        taken = dict.fromkeys(show_value(c.params[key]) for c in conditions if key in c.params)
        if show_value(settings[key]) not in taken:
            raise ValueError(f"baseline {wanted}: no trial has it; {key} is one of {', '.join(taken)}")
    raise ValueError(f"baseline {wanted}: no condition has all of these settings")
