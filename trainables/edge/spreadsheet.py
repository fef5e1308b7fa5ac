"""CSV that a spreadsheet opens without running anything of it."""

from __future__ import annotations

import re
from typing import TypeVar

Value = TypeVar("Value")

_FORMULA = re.compile(r"[=+@\t\r]|-+[^-]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+](inf|nan)")


def as_cell(value: Value) -> Value | str:
    """The value of a cell; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Notes, settings and station names are the words of others: `=HYPERLINK(...)` would be run. Numbers stay as they are.
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
