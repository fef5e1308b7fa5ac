"""Which trial is better: a metric, which of its values are better, and which trials count.

Whoever shows the trials of a sweep shows them in one order: those that finished, the best first; then those that were
stopped early or are not over, by their last report; then those without a value; failed ones last. The best trial is
one that finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from trainables import metrics

Direction = Literal["max", "min", "zero", "none"]
"""More is better; less is better; nearer to zero is better; or nobody says, and small values come first."""

DONE, FAILED = "done", "failed"

T = TypeVar("T")


class Standing(NamedTuple):
    """What decides where a trial stands among others."""

    state: str
    value: float | None
    """Of the metric; None or NaN where the trial has none."""
    number: int
    """Of two equal trials the earlier one comes first."""


@dataclass(frozen=True)
class Objective:
    """A metric and its direction. `Objective.first(sweep.objectives)` ranks the trials of a sweep."""

    metric: str
    direction: Direction = "none"

    @classmethod
    def first(cls, objectives: Mapping[str, Any]) -> Objective:
        """The most important objective of a sweep, by which its trials are ranked."""
        return cls(*next(iter(objectives.items())))

    @classmethod
    def all(cls, objectives: Mapping[str, Any]) -> list[Objective]:
        """Those of a sweep, the most important first."""
        return [cls(*one) for one in objectives.items()]

    @classmethod
    def named(cls, text: str, objectives: Mapping[str, Any]) -> Objective:
        """A metric that a user typed: the sweep's own direction, else what is known of such a metric; `my/score:min`
        says it. Raises ValueError where nothing says it."""
        metric, _, said = text.rpartition(":")
        if metric and said in ("max", "min"):
            return cls(metric, said)  # type: ignore[arg-type]
        found = cls.to_sort_by(text, objectives)
        if found.direction == "none":
            raise ValueError(f"is more of {text} better, or less? Say {text}:max or {text}:min")
        return found

    @classmethod
    def to_sort_by(cls, metric: str, objectives: Mapping[str, Any]) -> Objective:
        """The same for a table, which can do without a direction."""
        return cls(metric, objectives.get(metric) or metrics.direction(metric) or "none")

    def loss(self, value: float | None) -> float:
        """The value as something that is to be small; infinite where there is none."""
        if value is None or not math.isfinite(value):
            return math.inf
        return -value if self.direction == "max" else abs(value) if self.direction == "zero" else value

    def better(self, value: float | None, than: float | None) -> bool:
        """Whether one value beats another; a missing one beats none."""
        return self.loss(value) < self.loss(than)

    def gain(self, difference: float) -> float:
        """A difference of two values as a gain: above zero where it is for the better."""
        return difference if self.direction == "max" else -difference

    @property
    def small_first(self) -> bool:
        """Whether sorting by the bare values puts the best first when it begins with the smallest."""
        return self.direction != "max"

    @property
    def study_direction(self) -> Literal["maximize", "minimize"]:
        """As Optuna calls it."""
        return "maximize" if self.direction == "max" else "minimize"

    def order(self, trials: Iterable[T], standing: Callable[[T], Standing]) -> list[T]:
        """The trials as every table shows them, the best first."""
        return sorted(trials, key=lambda trial: self._place(standing(trial)))

    def best(self, trials: Iterable[T], standing: Callable[[T], Standing]) -> T | None:
        """The best trial that finished; None where none has finished with a value."""
        finished = [trial for trial in trials if self._counts(standing(trial))]
        return min(finished, key=lambda trial: self._place(standing(trial)), default=None)

    def best_first(self, values: Sequence[float]) -> list[int]:
        """Places of plain values, such as the means of conditions, the best first."""
        return sorted(range(len(values)), key=lambda place: (self.loss(values[place]), place))

    def _counts(self, trial: Standing) -> bool:
        return trial.state == DONE and math.isfinite(self.loss(trial.value))

    def _place(self, trial: Standing) -> tuple[int, float, int]:
        loss = self.loss(trial.value)
        if trial.state == FAILED:
            group = 3
        elif not math.isfinite(loss):
            group = 2
        else:
            group = 0 if trial.state == DONE else 1
        return group, loss, trial.number
