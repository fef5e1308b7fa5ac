"""From what was typed to a `Sweep` that can start: merged, checked, paths absolute."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from search_spaces.sweep import Sweep
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, build_config
from seisweep.settings.paths import absolute, with_absolute_paths

SEEDS = 2**32
"""How many seeds numpy's older generators know."""

_UNITS_S = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def narrow(sweep: Sweep, overrides: Overrides, changes: Mapping[str, Any]) -> Sweep:
    """The sweep with the user's overrides over its own, and with `changes` to its fields (None: unchanged).

    Raises ValueError in one line where a field does not take the value.
    """
    overrides, changes = _seed_of_the_sweep(overrides, changes)
    base = {key: value for key, value in sweep.base.items() if key not in overrides.vary}
    vary = {key: value for key, value in sweep.vary.items() if key not in overrides.base}
    merged = {
        **sweep.model_dump(),
        "base": base | with_absolute_paths(overrides.base),
        "vary": {key: value.model_dump() for key, value in vary.items()}
        | {key: absolute(key, value) for key, value in overrides.vary.items()},
        **{key: value for key, value in changes.items() if value is not None},
    }
    narrowed = build_config(Sweep, merged)
    for key in narrowed.required:
        if key not in narrowed.base and key not in narrowed.vary:
            raise ValueError(f"{narrowed.name} needs {key}=...: seisweep run {narrowed.name} {key}=...")
    return narrowed


def _seed_of_the_sweep(overrides: Overrides, changes: Mapping[str, Any]) -> tuple[Overrides, Mapping[str, Any]]:
    """`seed=3` and `seed=0,1,2` are the sweep's seeds, which the engine gives to each trial."""
    from seisweep.requested.trainable import SEED_KEY

    base, vary = dict(overrides.base), dict(overrides.vary)
    given = [base.pop(SEED_KEY)] if SEED_KEY in base else vary.pop(SEED_KEY, None)
    if given is None:
        return overrides, changes
    if changes.get("seeds") is not None:
        raise ValueError("the seed is given twice, as seed=... and as --seed")
    if not isinstance(given, list) or not all(isinstance(seed, int) and 0 <= seed < SEEDS for seed in given):
        raise ValueError(
            f"seed = {given} is not allowed: a whole number from 0 to {SEEDS - 1}, or several as seed=0,1,2"
        )
    return Overrides(base, vary), {**changes, "seeds": given}


def next_name(home: Home, stem: str, taken: Collection[str] = ()) -> str:
    """The first free name: `distillation-1`, `distillation-2` ...; `taken`: by others, in the same store."""
    number = 1
    while home.sweep_dir(f"{stem}-{number}").exists() or f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def parse_duration(text: str) -> float:
    """Seconds in `90`, `90s`, `30m`, `1.5h` or `2d`. Raises ValueError."""
    match = re.fullmatch(r"(\d+\.?\d*)\s*([a-z]*)", text.strip())
    if not match or match[2] not in _UNITS_S or float(match[1]) == 0:
        raise ValueError(f"'{text}' is not a duration: give 90s, 30m, 1.5h or 2d")
    return float(match[1]) * _UNITS_S[match[2]]


def parse_seeds(text: str) -> list[int]:
    """`0` or `0,1,2`. Raises ValueError."""
    seeds = [int(part) for part in text.split(",")] if re.fullmatch(r"\d+(,\d+)*", text) else []
    if not seeds or max(seeds) >= SEEDS:
        raise ValueError(f"--seed {text}: give a whole number from 0 to {SEEDS - 1}, or several as 0,1,2")
    return seeds
