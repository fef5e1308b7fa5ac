"""Settings as values of Python: what the command line has as text, and back to text for a job of a cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from search_spaces.sweep import Choice, Range
from seisweep.settings.fields import walk
from seisweep.settings.overrides import Overrides, parse_overrides, parse_value

_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


def overrides_of(settings: Mapping[str, Any] | None, config: type[BaseModel] | None) -> Overrides:
    """Settings by dotted key, or groups of them as dicts in dicts, as fixed values and narrowings.

    A list is several values to choose from and a pair `(low, high)` of numbers a range; a `Choice` and a `Range` may be
    written out. A setting of `config` that is a list itself takes one as it is, and a list of lists as several.
    Raises ValueError in one line.
    """
    fixed: dict[str, Any] = {}
    vary: dict[str, Any] = {}
    lists = set(_keys_of_lists(config)) if config else set()
    for key, value in _flat({} if settings is None else settings):
        if key in fixed or key in vary:
            raise ValueError(f"{key} is given twice")
        narrowing = _narrowing(key, value, is_list=key in lists)
        if narrowing is None:
            fixed[key] = _plain(key, value)
        elif isinstance(narrowing, list) and len(narrowing) == 1:
            fixed[key] = narrowing[0]
        else:
            vary[key] = narrowing
    return Overrides(fixed, vary)


def _keys_of_lists(config: type[BaseModel]) -> Iterator[str]:
    """Settings whose value is a list, also where it may be something else."""
    for key, field in walk(config):
        kinds = [field.annotation, *get_args(field.annotation)]
        if any(kind in (list, tuple) or get_origin(kind) in (list, tuple) for kind in kinds):
            yield key


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(settings, Mapping):
        raise ValueError(f'settings are a dict of keys and values, as {{"loss.alpha": 0.3}}, not {_kind(settings)}')
    for name, value in settings.items():
        if not isinstance(name, str) or not _KEY.fullmatch(name):
            raise ValueError(f"{name!r} is not a key of a setting (for example loss.alpha)")
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _narrowing(key: str, value: Any, *, is_list: bool) -> Any:
    """What is varied: a list of choices, or the ends of a range; None of one value."""
    if isinstance(value, Choice):
        return [_plain(key, one) for one in value.values]
    if isinstance(value, Range):
        return value.model_dump()
    if _is_array(value):
        value = value.tolist()
    if is_list:
        several = isinstance(value, list) and value and all(isinstance(one, list | tuple) for one in value)
        return [_plain(key, one) for one in value] if several else None
    if isinstance(value, tuple):
        return _range(key, value)
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{key} = [] is not allowed: give at least one value to choose from")
        return [_plain(key, one) for one in value]
    return None


def _range(key: str, ends: tuple[Any, ...]) -> dict[str, Any]:
    numbers = [end for one in ends if _is_number(end := _plain(key, one))]
    if len(ends) != 2 or len(numbers) != 2:
        raise ValueError(f"{key} = {ends} is not allowed: a range is two numbers, (low, high); a choice is a list")
    low, high = numbers
    if not low < high:
        raise ValueError(f"{key} = {ends}: the range's low end must lie below its high end")
    return {"low": low, "high": high}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(key: str, value: Any) -> Any:
    """As JSON has it: the sweep is written down so, and goes to other processes. Raises ValueError."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value)  # numpy's double is one, and shows itself otherwise
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    if isinstance(value, list | tuple):
        return [_plain(key, one) for one in value]
    if _is_array(value):
        return _plain(key, value.tolist())
    raise ValueError(f"{key} takes a number, text, true or false, None, or a list of them, not {_kind(value)}")


def _is_array(value: Any) -> bool:
    """Whether it is one of numpy's or torch's arrays or numbers, which are not imported for that."""
    return callable(getattr(value, "tolist", None))


def _kind(value: Any) -> str:
    return type(value).__name__


def as_words(overrides: Overrides) -> list[str]:
    """The same as `key=value`, as it would be typed. Raises ValueError where it cannot be."""
    words = [_word(key, value) for key, value in overrides.base.items()]
    return [*words, *(_narrowing_word(key, given) for key, given in overrides.vary.items())]


def _word(key: str, value: Any) -> str:
    return _checked(key, f"{key}={_typed(value)}", Overrides({key: value}, {}))


def _narrowing_word(key: str, given: Any) -> str:
    is_range = isinstance(given, dict)
    text = f"{given['low']!r}..{given['high']!r}" if is_range else ",".join(map(_typed, given))
    return _checked(key, f"{key}={text}", Overrides({}, {key: given}))


def _checked(key: str, word: str, meant: Overrides) -> str:
    if json.dumps(parse_overrides([word])) != json.dumps(meant):
        raise ValueError(
            f"{key} cannot be sent to a cluster as the text {word.partition('=')[2]}: choose another value"
        )
    return word


def _typed(value: Any) -> str:
    """A text as it is where it is read as that, everything else as JSON."""
    if isinstance(value, str) and value and parse_value(value) == value and not re.search(r'[,"\[\]{}]|\.\.', value):
        return value
    return json.dumps(value)
