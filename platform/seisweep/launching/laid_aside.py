"""Settings that are brought along, of a trial or of a file: which of them give way, to the user or to the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.narrowing import searched_keys
from search_spaces.sweep import Sweep
from seisweep.requested.sweep import narrow
from seisweep.settings.overrides import Overrides
from seisweep.text import show_settings


def still_searched(sweep: Sweep, given: Overrides) -> set[str]:
    """Keys that the sweep searches whatever is brought along. Raises ValueError."""
    return set(searched_keys(narrow(sweep.changed(required=[]), given, {})))


def given_otherwise(brought: Mapping[str, Any], given: Overrides) -> dict[str, Any]:
    """What the user gives another value, or several."""
    return {key: value for key, value in brought.items() if given.base.get(key, value) != value or key in given.vary}


def laid_aside(brought: Mapping[str, Any], sweep: Sweep, given: Overrides, searched: set[str]) -> list[str]:
    """What is not taken, in words, by the reason: what the user gives another value, and what is searched."""
    yours = given_otherwise(brought, given)
    there = {key: value for key, value in brought.items() if key in searched and key not in given.vary}
    words = [f"not taken, because you give other values: {show_settings(yours)}"] if yours else []
    return words + ([f"not taken, because {sweep.name} searches them: {show_settings(there)}"] if there else [])
