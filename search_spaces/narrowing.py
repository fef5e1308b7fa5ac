"""A space as a user has narrowed it: fixed keys, lists, ranges, added dimensions, and its enumeration.

Optuna asks a define-by-run function by handing it a trial. `NarrowedTrial` stands in front of that trial and
answers for the keys that the user has decided about.
"""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from search_spaces.sweep import Choice, Narrowing, Range, Sweep
from trainables.attribute import load_attribute

PROBES = 64
"""Random walks through a space that find the keys behind its `if`s."""


class Suggests(Protocol):
    """The part of `optuna.Trial` that spaces use."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


Space = Callable[[Any], None]


class NarrowedTrial:
    """Answers fixed keys itself, puts lists and ranges in the place of the space's own, hands on the rest."""

    def __init__(self, trial: Suggests, base: Mapping[str, Any], vary: Mapping[str, Narrowing]) -> None:
        self._trial, self._base, self._vary = trial, base, vary

    def is_decided(self, name: str) -> bool:
        """Whether the user has fixed or narrowed the key."""
        return name in self._base or name in self._vary

    def leave_out(self) -> None:
        """What was drawn does not go together, which only a walk through a grid wants to know."""
        if left_out := getattr(self._trial, "leave_out", None):
            left_out()

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if name in self._base:
            return float(self._base[name])
        narrowed = self._vary.get(name)
        if isinstance(narrowed, Choice):
            return self._trial.suggest_categorical(name, narrowed.values)
        if isinstance(narrowed, Range):
            low, high = float(narrowed.low), float(narrowed.high)
            _check_log(name, low, log)
        return self._trial.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name in self._base:
            return int(self._base[name])
        narrowed = self._vary.get(name)
        if isinstance(narrowed, Choice):
            return self._trial.suggest_categorical(name, narrowed.values)
        if isinstance(narrowed, Range):
            if narrowed.low != int(narrowed.low) or narrowed.high != int(narrowed.high):
                raise ValueError(
                    f"{name} is a whole number: {narrowed.low}..{narrowed.high} is not a range of whole numbers"
                )
            low, high = int(narrowed.low), int(narrowed.high)
            _check_log(name, low, log)
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if name in self._base:
            return self._base[name]
        narrowed = self._vary.get(name)
        if isinstance(narrowed, Choice):
            choices = narrowed.values
        elif isinstance(narrowed, Range):
            choices = _inside(name, narrowed, choices)
        return self._trial.suggest_categorical(name, choices)


POINT_ATTRIBUTE = "point"
"""Of a trial of a sweep of points: which of them it is."""


def narrowed_space(sweep: Sweep) -> Space:
    """The sweep's space with its `base` and `vary` applied: what the sampler is shown."""
    if sweep.points is not None:
        return _one_of(sweep.points)
    space = _space_function(sweep)
    extra = {key: sweep.vary[key] for key in sweep.vary if key not in _keys_of(sweep.space)}

    def narrowed(trial: Suggests) -> None:
        space(NarrowedTrial(trial, sweep.base, sweep.vary))
        for key, narrowing in extra.items():
            if isinstance(narrowing, Choice):
                trial.suggest_categorical(key, narrowing.values)
            elif isinstance(narrowing.low, int) and isinstance(narrowing.high, int):
                trial.suggest_int(key, narrowing.low, narrowing.high)
            else:
                trial.suggest_float(key, float(narrowing.low), float(narrowing.high))

    return narrowed


def searched_keys(sweep: Sweep) -> list[str]:
    """The keys that vary between trials, in the order of the space. A bad narrowing shows here."""
    if sweep.points is not None:
        return list(_options(sweep.points))
    return list(_probe(narrowed_space(sweep)))


def dimensions(sweep: Sweep) -> dict[str, str]:
    """What each searched key may be, in words: `0.1 .. 0.9`, `0.0001 .. 0.01 (log)`, `8, 16 or 32`; and where not every
    trial has it, as an unfreezing epoch that only one schedule wants."""
    if sweep.points is not None:
        return {key: _in_words(values) for key, values in _options(sweep.points).items()}
    return _probe(narrowed_space(sweep))


def default_point(sweep: Sweep, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The documented defaults of the searched keys, as far as the narrowed space contains them."""
    if sweep.points is not None:
        return {}
    walk = _DefaultWalk(defaults)
    narrowed_space(sweep)(walk)
    return walk.taken


def enumerate_space(sweep: Sweep) -> list[dict[str, Any]]:
    """Every point of a space of lists, once, in the order of the space. A range is a ValueError."""
    if sweep.points is not None:
        return [dict(point) for point in sweep.points]
    space = narrowed_space(sweep)
    points: list[dict[str, Any]] = []
    path: list[int] = []
    while True:
        walk = _GridWalk(path)
        space(walk)
        points += [] if walk.is_left_out else [walk.point]
        path = [index for index, _ in walk.taken]
        while path and path[-1] + 1 == walk.taken[len(path) - 1][1]:
            path.pop()  # this choice is exhausted: go back to the one before
        if not path:
            return points
        path[-1] += 1


def _one_of(points: Sequence[Mapping[str, Any]]) -> Space:
    """A space that holds these points alone; a trial's attribute says which of them it is.

    Each key is always asked with all its values: Optuna wants the choices of a key to stay as they are.
    """
    options = _options(points)

    def space(trial: Any) -> None:
        for key in points[trial.user_attrs[POINT_ATTRIBUTE]]:
            trial.suggest_categorical(key, options[key])

    return space


def _options(points: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Of each key its values, in the order in which they come. They are compared as JSON: 1 and true are two."""
    options: dict[str, dict[str, Any]] = {}
    for point in points:
        for key, value in point.items():
            options.setdefault(key, {}).setdefault(json.dumps(value), value)
    return {key: list(values.values()) for key, values in options.items()}


def _space_function(sweep: Sweep) -> Space:
    return load_attribute(sweep.space, "space") if sweep.space else lambda trial: None


@functools.cache
def _keys_of(space: str | None) -> frozenset[str]:
    """Keys that a space names on any of its branches, before narrowing."""
    return frozenset(_probe(load_attribute(space, "space"))) if space else frozenset()


def _probe(space: Space) -> dict[str, str]:
    keys: dict[str, str] = {}
    times: Counter[str] = Counter()
    for seed in range(PROBES):
        walk = _RandomWalk(seed)
        space(walk)
        keys |= walk.keys
        times.update(list(walk.keys))
    return {key: words if times[key] == PROBES else f"{words}, where it acts" for key, words in keys.items()}


def _in_words(choices: Sequence[Any]) -> str:
    *some, last = map(str, choices)
    return f"{', '.join(some)} or {last}" if some else last


class _RandomWalk:
    """A trial that answers at random and notes what it was asked, in words."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.keys: dict[str, str] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self._note_range(name, low, high, step, log)
        return self._random.choice([low, high, self._random.uniform(low, high)])

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self._note_range(name, low, high, step, log)
        return self._random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.keys[name] = _in_words(list(choices))
        return self._random.choice(list(choices))

    def _note_range(self, name: str, low: float, high: float, step: float | None, log: bool) -> None:
        steps = f" in steps of {step:g}" if step not in (None, 1) else ""
        self.keys[name] = f"{low:g} .. {high:g}{steps}{' (log)' if log else ''}"


class _DefaultWalk:
    """A trial that answers with the defaults where they are inside, with any valid value elsewhere."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = defaults
        self.taken: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self._take(name, low, lambda value: low <= value <= high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._take(name, low, lambda value: low <= value <= high and (value - low) % step == 0))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._take(name, next(iter(choices)), lambda value: value in choices)

    def _take(self, name: str, otherwise: Any, contains: Callable[[Any], bool]) -> Any:
        value = self._defaults.get(name)
        if value is None or not contains(value):
            return otherwise
        self.taken[name] = value
        return value


class _GridWalk:
    """A trial that follows a path of choices and takes the first option beyond its end."""

    def __init__(self, path: list[int]) -> None:
        self._path = path
        self.taken: list[tuple[int, int]] = []
        """Index taken and number of options, choice by choice."""
        self.point: dict[str, Any] = {}
        self.is_left_out = False

    def leave_out(self) -> None:
        self.is_left_out = True

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if step is None:
            raise ValueError(f"a grid needs lists: {name} is the range {low:g}..{high:g}, give {name}=a,b,c")
        count = int((high - low) / step + 1e-9) + 1
        return self.suggest_categorical(name, [low + step * index for index in range(count)])

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self.suggest_categorical(name, range(low, high + 1, step))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if name in self.point:
            return self.point[name]
        depth, options = len(self.taken), list(choices)
        index = self._path[depth] if depth < len(self._path) else 0
        self.taken.append((index, len(options)))
        self.point[name] = options[index]
        return options[index]


def _inside(name: str, narrowing: Range, choices: Any) -> list[Any]:
    numbers = [value for value in choices if isinstance(value, int | float)]
    inside = [value for value in numbers if narrowing.low <= value <= narrowing.high]
    if not inside:
        offered = ", ".join(str(value) for value in choices)
        raise ValueError(f"{name}={narrowing.low}..{narrowing.high} leaves nothing of its choices {offered}")
    return inside


def _check_log(name: str, low: float, log: bool) -> None:
    if log and low <= 0:
        raise ValueError(f"{name} is searched on a logarithmic scale: its range must start above 0, not at {low:g}")
