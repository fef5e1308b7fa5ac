"""Scores with 95 % intervals as cells: three numbers for programs, one text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seisweep.promotion.model_card import shown
from trainables.evaluation.intervals import Interval


def with_ends(title: str, interval: Interval | None) -> dict[str, Any]:
    """A score and the ends of its interval, in cells of their own."""
    value, low, high = interval or (None, None, None)
    return {title: value, f"{title}_low": low, f"{title}_high": high}


def as_words(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For people: a score and its ends in one cell, `0.873 (0.812 to 0.921)`."""
    return [
        {
            key: value if value is None or f"{key}_low" not in row else shown(_interval(row, key))
            for key, value in row.items()
            if not key.endswith(("_low", "_high"))
        }
        for row in rows
    ]


def _interval(row: Mapping[str, Any], key: str) -> Interval:
    return Interval(row[key], row[f"{key}_low"], row[f"{key}_high"])
