"""What can be set: each key with its default, what it takes, its unit and meaning, and whether a sweep searches it."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from search_spaces.named import NAMED, named_sweep
from search_spaces.narrowing import dimensions
from search_spaces.sweep import Sweep, single_run
from seisweep.requested.trainable import OWN, Trainable
from seisweep.settings.fields import allowed, nearest, walk
from seisweep.settings.words import unit_of
from seisweep.text import show_value

REQUIRED = "must be given"


class Explained(NamedTuple):
    """A key of a configuration, in words."""

    key: str
    default: str
    unit: str
    takes: str
    searched: str
    """Where the sweep searches it; empty where it does not."""
    fixed: str
    """What the sweep has in the place of the default; empty where that holds."""
    meaning: str


def what_is(name: str) -> Sweep:
    """A named sweep, a trainable as a sweep of one training, or a user's own of either kind. Raises ValueError."""
    if name in NAMED or name not in OWN:
        try:
            return named_sweep(name)
        except ValueError:
            if ":" not in name:
                raise ValueError(f"no sweep or trainable named {name}{nearest(name, [*NAMED, *OWN])}") from None
    return single_run(name, {})


def explained(sweep: Sweep) -> list[Explained]:
    """Every key in the order of the configuration. Raises ValueError where there is none that says it."""
    config = Trainable.find(sweep.trainable).config_class
    if config is None:
        raise ValueError(
            f"{sweep.trainable} takes a plain dict, which does not say what can be set: annotate its first parameter "
            "with a pydantic model"
        )
    searched = dimensions(sweep)
    return [
        Explained(
            key=key,
            default=REQUIRED if field.is_required() else shown(field.get_default(call_default_factory=True)),
            unit=unit_of(key) if _has_unit(field) else "",
            takes=allowed(config, key),
            searched=searched.get(key, ""),
            fixed=shown(sweep.base[key]) if key in sweep.base else "",
            meaning=" ".join((field.description or "").split()),
        )
        for key, field in walk(config)
        if not field.deprecated
    ]


def groups(sweep: Sweep) -> dict[str, str]:
    """What each group of settings is about."""
    config = Trainable.find(sweep.trainable).config_class
    return {name: field.description or "" for name, field in config.model_fields.items()} if config else {}


def matching(settings: list[Explained], word: str) -> list[Explained]:
    """The key itself, else all that have the word in them, as `data.` or `rate`. Raises ValueError with the nearest."""
    exact = [one for one in settings if one.key == word]
    found = exact or [one for one in settings if word.lower() in one.key.lower()]
    if not found:
        raise ValueError(f"unknown key {word}{nearest(word, [one.key for one in settings])}")
    return found


def _has_unit(field: FieldInfo) -> bool:
    return "float" in str(field.annotation) or "int" in str(field.annotation)


def shown(value: Any) -> str:
    """A default, as a user would type it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list) and not value:
        return "[]"
    return show_value(value) if value != "" else '""'
