"""What a user types becomes checked settings: `key=value` overrides, config models, profiles.

Everything a user can get wrong raises ValueError with one line that names the field, the value, what is
allowed and the nearest known key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from seisweep.settings.fields import allowed, known_keys, nearest, submodel, takes_numbers_alone, walk

Model = TypeVar("Model", bound=BaseModel)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
MAX_DEPTH = 20
"""Brackets inside brackets. No setting has more than two; a thousand would exhaust Python's stack."""

_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


class Overrides(NamedTuple):
    """What the user asked for, by dotted key."""

    base: dict[str, Any]
    """`key=value`: fixed for every trial."""

    vary: dict[str, Any]
    """`key=a,b,c` is a list of choices, `key=lo..hi` is `{"low": lo, "high": hi}`."""


def parse_overrides(words: Iterable[str]) -> Overrides:
    """`["loss.alpha=0.3", "student.pooling=2,4", "loss.temperature=1..5"]` as fixed values and narrowings.

    Brackets hold one value that is a list: `teachers=[a,b]`, and `teachers=[a],[a,b]` are two of them.
    """
    fixed: dict[str, Any] = {}
    vary: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
            raise ValueError(f"'{word}' is not key=value (for example loss.alpha=0.3)")
        if key in fixed or key in vary:
            raise ValueError(f"{key} is given twice")
        if depth(text) > MAX_DEPTH:
            raise ValueError(f"{key} has brackets {depth(text)} deep; a value has at most {MAX_DEPTH}, as in [a,[b,c]]")
        if match := _RANGE.fullmatch(text):
            low, high = (parse_value(end) for end in match.groups())
            if low >= high:
                raise ValueError(f"{word}: the range's low end must lie below its high end")
            vary[key] = {"low": low, "high": high}
        elif len(parts := _split_commas(text)) > 1:
            vary[key] = [parse_value(part) for part in parts]
        else:
            fixed[key] = parse_value(text)
    return Overrides(fixed, vary)


def parse_value(text: str) -> Any:
    """A JSON value where the text is one (number, true, null, "quoted", list), else the text itself."""
    if text in ("None", "none"):
        return None
    if text in ("True", "False"):
        return text == "True"
    if re.fullmatch(_NUMBER, text):
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except json.JSONDecodeError:
        if text.startswith("[") and text.endswith("]"):
            return [parse_value(part.strip()) for part in _split_commas(text[1:-1])]
        return text


def depth(text: str) -> int:
    """How deep brackets and braces lie in each other at most, whether or not they are closed."""
    now = deepest = 0
    for character in text:
        now += (character in "[{") - (character in "]}" and now > 0)
        deepest = max(deepest, now)
    return deepest


def _split_commas(text: str) -> list[str]:
    """Parts between commas, unless the text is JSON (a list or quoted text); those inside brackets do not part."""
    if text[:1] in '["{':
        try:
            json.loads(text)
            return [text]
        except json.JSONDecodeError:
            pass
    return re.findall(r"(?:^|,)((?:\[[^\]]*\]|[^,])*)", text)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"loss.alpha": 0.3}` as `{"loss": {"alpha": 0.3}}`."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *groups, leaf = key.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                raise ValueError(f"{key}: {group} is already given as a whole")
        if isinstance(value, Mapping) and isinstance(node.get(leaf), dict):
            raise ValueError(f"{key} is given as a whole and in parts")
        node[leaf] = value
    return tree


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The inverse of `nest`: pairs of dotted key and value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def build_config(cls: type[Model], base: Mapping[str, Any]) -> Model:
    """The config model with these dotted keys over its defaults. Raises ValueError in one line."""
    check_keys(cls, base)
    _check_no_truth_for_a_number(cls, base)
    try:
        return cls.model_validate(nest(base))
    except ValidationError as error:
        raise ValueError(_one_line(cls, error, base)) from None


def _check_no_truth_for_a_number(cls: type[BaseModel], base: Mapping[str, Any]) -> None:
    """Pydantic takes true for 1. Raises ValueError."""
    fields = dict(walk(cls))
    for key, value in base.items():
        if isinstance(value, bool) and key in fields and takes_numbers_alone(fields[key].annotation):
            raise ValueError(f"{key} = {json.dumps(value)} is not allowed: {allowed(cls, key)}")


def check_keys(cls: type[BaseModel], keys: Iterable[str]) -> None:
    """Every dotted key exists in the model. Raises ValueError that names the nearest known one."""
    for key in keys:
        if not _exists(cls, key):
            raise ValueError(f"unknown key {key}{nearest(key, known_keys(cls))}")


def check_narrowing(cls: type[BaseModel], base: Mapping[str, Any], vary: Mapping[str, Any]) -> None:
    """Every choice, and both ends of every range, is a value that the model takes."""
    check_keys(cls, vary)
    for key, options in vary.items():
        ends = [options["low"], options["high"]] if isinstance(options, Mapping) else options
        for value in ends:
            build_config(cls, {**base, key: value})


def _exists(cls: type[BaseModel], key: str) -> bool:
    name, _, rest = key.partition(".")
    if (field := cls.model_fields.get(name)) is None:
        return bool(cls.model_config.get("extra") == "allow")
    if not rest:
        return True
    inner = submodel(field.annotation)
    return _exists(inner, rest) if inner else "dict" in str(field.annotation)


def _one_line(cls: type[BaseModel], error: ValidationError, given: Mapping[str, Any]) -> str:
    """The first complaint of pydantic as `key = value is not allowed: what is`."""
    first, *more = error.errors()
    key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    key = next(
        (known for known in sorted(known_keys(cls), key=len, reverse=True) if f"{key}.".startswith(f"{known}.")),
        key,
    )
    also = f" (and {len(more)} more)" if more else ""
    if first["type"] == "missing":
        key = next((known for known, field in walk(cls) if known.startswith(f"{key}.") and field.is_required()), key)
        return f"{key} is missing: give {key}=... ({allowed(cls, key)}){also}"
    if first["type"] == "value_error":
        return f"{f'{key}: ' if key else ''}{first['ctx']['error']}{also}"
    value = given.get(key, first["input"])
    return f"{key} = {json.dumps(value, default=str)} is not allowed: {allowed(cls, key)}{also}"
