"""What a page is made of: cells, tables, facts; and how values look in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from seisweep.text import show_number, show_value
from trainables import metrics

MISSING = "\N{EN DASH}"


class Cell(NamedTuple):
    """One value of a table. Numbers stand to the right."""

    text: str
    is_number: bool = False
    link: str = ""
    title: str = ""
    """What the pointer shows."""


class Heading(NamedTuple):
    """`training.learning_rate` and `dev/f1` in two lines: the group small, the name below."""

    name: str
    group: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column names the row."""

    caption: str
    headings: list[Heading]
    rows: list[list[Cell]]
    best: int | None = None
    """Row to mark."""

    def __post_init__(self) -> None:
        """A column of numbers stands to the right, its heading and its gaps with it."""
        for place, heading in enumerate(self.headings):
            given = [row[place] for row in self.rows if row[place].text != MISSING]
            is_number = bool(given) and all(cell.is_number for cell in given)
            self.headings[place] = heading._replace(is_number=is_number)
            for row in self.rows:
                row[place] = row[place]._replace(is_number=is_number)


Facts = list[tuple[str, str]]
"""Pairs of what and its value."""


def heading(key: str) -> Heading:
    """A metric or a setting as a heading."""
    group, slash, name = re.fullmatch(r"(?:(.*)([/.]))?(.*)", key).groups()  # type: ignore[union-attr]
    return Heading(name, f"{group}{slash}" if group else "")


def cell(value: Any, key: str = "") -> Cell:
    """A value; `key` is the metric or setting that it is of."""
    if value is None or (not isinstance(value, str | list | Mapping) and pd.isna(value)):
        return Cell(MISSING)
    if key == metrics.INT8_ACCEPTED:
        return Cell("accepted" if value else "refused")
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return Cell(in_text(value), is_number)


def in_text(value: Any) -> str:
    """Large whole numbers with thousands marked, other numbers with four digits that count."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return f"{int(value):,}" if abs(value) >= 10_000 else show_number(value)
    return show_value(value)


def table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as dictionaries with the same keys."""
    keys = list(rows[0]) if rows else []
    return Table(caption, [heading(key) for key in keys], [[cell(row[key], key) for key in keys] for row in rows])
