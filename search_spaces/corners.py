"""Points at the ends of a space, for what depends on its extremes: the smallest and the largest model."""

from __future__ import annotations

import random
from typing import Any

from search_spaces.narrowing import enumerate_space, narrowed_space
from search_spaces.sweep import Sweep

WALKS = 256


def corners(sweep: Sweep) -> list[dict[str, Any]]:
    """Random points whose numbers lie at the ends of their ranges; each once. Of given points all."""
    if sweep.points is not None:
        return enumerate_space(sweep)
    space, found = narrowed_space(sweep), []
    for seed in range(WALKS):
        walk = _CornerWalk(seed)
        space(walk)
        if walk.point not in found and not walk.is_left_out:
            found.append(walk.point)
    return found


class _CornerWalk:
    """A trial that answers with one end of each range, at random, and with any choice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.point: dict[str, Any] = {}
        self.is_left_out = False

    def leave_out(self) -> None:
        self.is_left_out = True

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self._answer(name, [low, high]))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._answer(name, [low, high - (high - low) % step]))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._answer(name, list(choices))

    def _answer(self, name: str, options: list[Any]) -> Any:
        return self.point.setdefault(name, self._random.choice(options))
