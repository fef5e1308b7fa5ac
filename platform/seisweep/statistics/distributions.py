"""From what each trial's settings were drawn: kept in the record, else worked out again for sweeps that are older.

A setting has one distribution in most sweeps; a space may also draw a range from what it drew before. So of each
setting the distributions are kept in the order of the trials, each with the first trial that has it.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from search_spaces.narrowing import narrowed_space
from search_spaces.sweep import Sweep

Params = Mapping[str, Any]
Drawn = dict[str, BaseDistribution]


class Distributions:
    """Of each setting the distributions that trials drew it from."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[int]] = {}
        self._texts: dict[str, list[str]] = {}

    @classmethod
    def of(cls, trials: Iterable[tuple[int, Drawn]]) -> Distributions:
        """From all trials, in the order of their numbers."""
        found = cls()
        for number, drawn in trials:
            found.add(number, drawn)
        return found

    def add(self, number: int, drawn: Drawn) -> bool:
        """One more trial, with a number above all before it; whether it drew from something new."""
        news = False
        for key, distribution in drawn.items():
            text = distribution_to_json(distribution)
            texts = self._texts.setdefault(key, [])
            if not texts or texts[-1] != text:
                texts.append(text)
                self._numbers.setdefault(key, []).append(number)
                news = True
        return news

    def drawn(self, number: int, keys: Iterable[str]) -> Drawn | None:
        """What a trial drew these settings from; None where one of them is not known."""
        found = {}
        for key in keys:
            place = bisect_right(self._numbers.get(key, []), number) - 1
            if place < 0:
                return None
            found[key] = _parsed(self._texts[key][place])
        return found

    def as_data(self) -> dict[str, list[dict[str, Any]]]:
        """As it is kept: of each setting `from_trial` and `distribution` in Optuna's own form."""
        return {
            key: [
                {"from_trial": number, "distribution": json.loads(text)}
                for number, text in zip(self._numbers[key], texts, strict=True)
            ]
            for key, texts in self._texts.items()
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Sequence[Mapping[str, Any]]]) -> Distributions:
        """The inverse of `as_data`. Raises KeyError, TypeError or ValueError where it is something else."""
        found = cls()
        for key, kept in data.items():
            found._numbers[key] = [int(one["from_trial"]) for one in kept]
            found._texts[key] = [json.dumps(one["distribution"]) for one in kept]
            for text in found._texts[key]:
                _parsed(text)
        return found


def _parsed(text: str) -> BaseDistribution:
    with warnings.catch_warnings():
        # Our choices are JSON, where Optuna wants numbers, words, truth values and None alone.
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution", category=UserWarning)
        return json_to_distribution(text)


def as_proposed(params: Sequence[Params], sweep: Sweep) -> list[Drawn] | None:
    """As the sweep's space proposed each trial; None where one lies outside of it or the space is not to be had."""
    found = []
    try:
        space = narrowed_space(sweep)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # so does Optuna say that a value is outside
            for one in params:
                trial = optuna.trial.FixedTrial(dict(one))
                space(trial)
                if trial.distributions.keys() != one.keys():
                    return None
                found.append(trial.distributions)
    except (ValueError, LookupError, UserWarning):
        return None
    return found


def of_values(params: Sequence[Params]) -> list[Drawn]:
    """The ranges that the values span, and as choices the words that there are."""
    columns: dict[str, list[Any]] = {}
    for one in params:
        for key, value in one.items():
            columns.setdefault(key, []).append(value)
    ranges = {key: _range(values) for key, values in columns.items()}
    return [{key: ranges[key] for key in one} for one in params]


def _range(values: Sequence[Any]) -> BaseDistribution:
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return IntDistribution(min(values), max(values))
    if kinds <= {int, float}:
        return FloatDistribution(float(min(values)), float(max(values)))
    return CategoricalDistribution(tuple(dict.fromkeys(map(plain, values))))


def plain(value: Any) -> Any:
    """Optuna's categories are numbers, words, truth values and None; of a list its JSON stands for it."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def value_of(text: str, distribution: BaseDistribution) -> Any:
    """A setting's text in a store as the value that was drawn. Raises ValueError where it was not drawn from there."""
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            if str(choice) == text:
                return choice
        raise ValueError(f"{text} is none of {distribution.choices}")
    return int(text) if isinstance(distribution, IntDistribution) else float(text)
