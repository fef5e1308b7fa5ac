"""The settings of a recorded trial as those that a new sweep or training begins with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from search_spaces.sweep import Sweep
from seisweep.launching.laid_aside import given_otherwise, laid_aside, still_searched
from seisweep.record import tags
from seisweep.requested.trainable import CACHE_KEY, OUTPUTS_KEY, SEED_KEY, Trainable
from seisweep.results.loading import load_from
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.fields import walk
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides, flatten
from seisweep.settings.paths import BEST, TRIAL_NAME
from seisweep.settings.profile import Profile
from seisweep.text import show_settings, some

MOST_NAMED = 8
OPTION = "--settings-from"
OF_ITS_RUN = (SEED_KEY, CACHE_KEY, OUTPUTS_KEY)
"""Settings that a sweep gives to each trial."""


class Taken(NamedTuple):
    """What was asked for, over the settings of a trial."""

    overrides: Overrides
    words: list[str]
    """What was taken and what was not."""
    settings: dict[str, Any]
    """Those of the trial that were taken."""


def with_settings_of(reference: str, sweep: Sweep, given: Overrides, home: Home, profile: Profile) -> Taken:
    """`given` for `sweep`, over the settings of the trial `NAME/3`; `NAME` and `NAME/best` are the best one.

    Taken is what differs from the defaults of today or from what `sweep` has. What the user says goes before it, and
    what `sweep` searches stays searched. Raises ValueError in one line.
    """
    loaded, number = _trial(reference, home, profile)
    had = _configuration(loaded, number)
    trainable = Trainable.find(sweep.trainable)
    known = _defaults(trainable)
    searched = still_searched(sweep, given)
    aside = {*OF_ITS_RUN, *given.base, *given.vary, *searched}
    taken = {
        key: value
        for key, value in had.items()
        if key not in aside
        and (known is None or key in known)
        and (known is None or value != known[key] or sweep.base.get(key, value) != value)
    }
    words = [f"settings of {loaded.name}/{number}: {show_settings(taken) or 'none but the defaults'}"]
    words += [*laid_aside(had, sweep, given, searched), *_not_taken(had, given, known, sweep)]
    if changed := loaded.tags(number).get(tags.CHANGED):
        words.append(f"as changed after the trial ran out of memory: {changed}")
    return Taken(Overrides({**taken, **given.base}, given.vary), words, taken)


def _trial(reference: str, home: Home, profile: Profile) -> tuple[SweepResults, int]:
    name, _, number = reference.partition("/")
    if not re.fullmatch(TRIAL_NAME, reference):
        raise ValueError(f"{OPTION} {reference}: give a trial of a sweep, as distillation-1/3 or distillation-1/{BEST}")
    try:
        loaded = load_from(home, name, profile)
        found = int(number) if number.isdigit() else loaded.best()
        loaded.run(found)
    except ValueError as error:
        raise ValueError(f"{OPTION} {reference}: {error}") from None
    if (wanted := loaded.definition) is not None and wanted.scheduler == "pbt":
        raise ValueError(
            f"{OPTION} {reference}: {name} is a population, whose trials took over settings from each other under way: "
            "none of them has one configuration"
        )
    return loaded, found


def _configuration(loaded: SweepResults, number: int) -> dict[str, Any]:
    try:
        return dict(flatten(loaded.config(number)))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the configuration of {loaded.name}/{number} cannot be read: {reason}") from None


def _defaults(trainable: Trainable) -> dict[str, Any] | None:
    """Of each setting, as a configuration has it as plain data; something that equals nothing where it must be given.
    None of a trainable that does not say what it takes."""
    if trainable.config_class is None:
        return None
    return {
        key: object() if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True))
        for key, field in walk(trainable.config_class)
    }


def _not_taken(had: Mapping[str, Any], given: Overrides, known: Mapping[str, Any] | None, sweep: Sweep) -> list[str]:
    """What a new sweep cannot take of a trial, in words, by the reason."""
    unknown = [key for key in had if known is not None and key not in known]
    words = (
        [f"not taken, because {sweep.trainable} has no such settings: {some(unknown, MOST_NAMED)}"] if unknown else []
    )
    if SEED_KEY in had and SEED_KEY not in given_otherwise(had, given):  # the others of its run nobody has asked for
        words.append(f"not taken, because each trial has its own: {show_settings({SEED_KEY: had[SEED_KEY]})}")
    return words
