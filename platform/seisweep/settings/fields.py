"""What a config model knows about itself: its dotted keys, and what each allows, in words."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from seisweep.text import some

SHOWN = 12
"""Known names that an error lists at most."""

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def known_keys(cls: type[BaseModel]) -> list[str]:
    """Dotted keys of every setting, groups left out."""
    return [key for key, _ in walk(cls)]


def walk(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Pairs of dotted key and field of every setting, in the order of the model."""
    for name, field in cls.model_fields.items():
        if inner := submodel(field.annotation):
            yield from walk(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def submodel(annotation: Any) -> type[BaseModel] | None:
    """The config model that a field holds (also where it may be None), if it holds one."""
    candidates = get_args(annotation) if _is_union(annotation) else (annotation,)
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def allowed(cls: type[BaseModel], key: str) -> str:
    """What a setting takes: "a number, at least 0, at most 1"."""
    field = dict(walk(cls)).get(key)
    if field is None:
        return f"a group of settings: {', '.join(known for known in known_keys(cls) if known.startswith(key))}"
    bounds = [
        f"{words} {getattr(rule, name)}"
        for rule in field.metadata
        for name, words in _BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([_type_in_words(field.annotation), *bounds])


def takes_numbers_alone(annotation: Any) -> bool:
    """Whether a field takes numbers, perhaps null too, and neither true and false nor text."""
    kinds = set(get_args(annotation)) if _is_union(annotation) else {annotation}
    return bool(kinds & {int, float}) and kinds <= {int, float, type(None)}


def nearest(word: str, known: Iterable[str]) -> str:
    """How an unknown name's message ends: the names that look like it, else all of them when they are few."""
    names = list(known)
    leaf = word.rpartition(".")[2]
    leaves = [name for name in names if name.rpartition(".")[2] == leaf]
    close = list(dict.fromkeys([*leaves, *difflib.get_close_matches(word, names, n=3, cutoff=0.6)]))[:3]
    if not close:  # a word for a whole key
        alike = difflib.get_close_matches(leaf, {name.rpartition(".")[2] for name in names}, n=1, cutoff=0.6)
        close = [name for name in names if name.rpartition(".")[2] in alike][:3]
    if close:
        *others, last = close
        return f"; did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
    return f"; known: {some(names, SHOWN)}" if names else ""


def _type_in_words(annotation: Any) -> str:
    if _is_union(annotation):
        return " or ".join("null" if part is type(None) else _type_in_words(part) for part in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _type_in_words(get_args(annotation)[0])
    if get_origin(annotation) in (list, tuple):
        return "a list, as [a,b]"
    if get_origin(annotation) is dict:
        return "names and values"
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(annotation))}"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)
