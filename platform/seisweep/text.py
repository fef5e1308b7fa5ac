"""How values look in text: numbers, settings, times, short names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def show_number(value: float) -> str:
    """Four digits that count, whole numbers as they are."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def show_value(value: Any) -> str:
    """A setting as it is typed, shortened where it is a number."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(show_value, value))}]"
    return show_number(value) if isinstance(value, float) else str(value)


def show_settings(settings: Mapping[str, Any]) -> str:
    """As they are typed: `model.start=pretrained freezing.schedule=full`."""
    return " ".join(f"{key}={show_value(value)}" for key, value in settings.items())


def show_params(params: Mapping[str, Any]) -> str:
    short = short_names(params)
    return ": " + " ".join(f"{short[key]}={show_value(value)}" for key, value in params.items()) if params else ""


def some(words: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def show_seconds(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_clock(seconds: float) -> str:
    """ "0:05", "12:30", "3:05:00"."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def short_names(keys: Mapping[str, Any] | list[str]) -> dict[str, str]:
    """The last part of each dotted key, the whole key where two would look the same."""
    leaves = {key: key.rpartition(".")[2] for key in keys}
    times = Counter(leaves.values())
    return {key: leaf if times[leaf] == 1 else key for key, leaf in leaves.items()}
