"""How a searched setting changes under way: the exploration step of population based training.

Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1.1: a number is multiplied by 0.8 or 1.2, or drawn anew. Here it
stays within its dimension of the space, and what decides about the shape of a model stays as it is: the checkpoint
that the training goes on from would not fit another.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from search_spaces.narrowing import PROBES, narrowed_space, searched_keys
from search_spaces.sweep import Sweep

FACTORS = (0.8, 1.2)
RESAMPLE_PROBABILITY = 0.25


def perturbed_keys(sweep: Sweep) -> list[str]:
    """The searched keys that change under way: `sweep.perturb`, else every range of real numbers.

    Raises ValueError where there is none, or one is named that is not searched.
    """
    searched = searched_keys(sweep)
    if sweep.perturb is not None:
        for key in sweep.perturb:
            if key not in searched:
                raise ValueError(f"perturb names {key}, which is not searched; searched are {', '.join(searched)}")
        return sweep.perturb
    space, walk = narrowed_space(sweep), _KindWalk()
    for seed in range(PROBES):
        walk.random.seed(seed)
        space(walk)
    if not walk.real:
        raise ValueError(
            f"pbt changes settings during training, but no range of real numbers is searched ({', '.join(searched)}): "
            "say in perturb what may change, or choose another scheduler"
        )
    return [key for key in searched if key in walk.real]


def perturb(sweep: Sweep, params: Mapping[str, Any], keys: Collection[str], seed: str) -> dict[str, Any]:
    """A point of the sweep's space beside `params`: `keys` changed, all else as it was.

    A key of `params` that the changed ones make meaningless is left out, one that they call for is drawn.
    """
    walk = _Perturbation(params, keys, random.Random(seed))
    narrowed_space(sweep)(walk)
    return walk.point


class _KindWalk:
    """A trial that answers at random and notes which keys are ranges of real numbers."""

    def __init__(self) -> None:
        self.random = random.Random()
        self.real: set[str] = set()

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        self.real.add(name)
        return self.random.choice([low, high, self.random.uniform(low, high)])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.random.choice(list(choices))


class _Perturbation:
    """A trial that answers with the given values, some of them changed."""

    def __init__(self, params: Mapping[str, Any], keys: Collection[str], randomness: random.Random) -> None:
        self._params, self._keys, self._random = params, keys, randomness
        self.point: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        def draw() -> float:
            if log:
                return min(max(math.exp(self._random.uniform(math.log(low), math.log(high))), low), high)
            if step is not None:
                return low + step * self._random.randint(0, int((high - low) / step + 1e-9))
            return self._random.uniform(low, high)

        def change(value: float) -> float:
            changed = value * self._random.choice(FACTORS)
            if step is not None:
                changed = low + step * round((changed - low) / step)
            return min(max(changed, low), high)

        return float(self._answer(name, draw, change))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        def change(value: int) -> int:
            factor = self._random.choice(FACTORS)
            moved = step * max(1, round(abs(value * (factor - 1)) / step))  # a small number changes too
            changed = value + moved if factor > 1 else value - moved
            return changed if low <= changed <= high else value

        return int(self._answer(name, lambda: self._random.randrange(low, high + 1, step), change))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        options = list(choices)

        def change(value: Any) -> Any:  # to a neighbour
            index = options.index(value) + self._random.choice([-1, 1])
            return options[min(max(index, 0), len(options) - 1)]

        return self._answer(name, lambda: self._random.choice(options), change)

    def _answer(self, name: str, draw: Callable[[], Any], change: Callable[[Any], Any]) -> Any:
        if name not in self.point:
            value = self._params.get(name)
            if name not in self._params:
                value = draw()
            elif name in self._keys:
                value = draw() if self._random.random() < RESAMPLE_PROBABILITY else change(value)
            self.point[name] = value
        return self.point[name]
