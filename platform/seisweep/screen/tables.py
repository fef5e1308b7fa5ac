"""Results on standard output: aligned columns for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from seisweep.text import show_value
from trainables.edge.spreadsheet import as_cell


class Format(StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


TableFormat = Annotated[Format, typer.Option("--format", help="How the table is written.")]


def write(rows: Sequence[Mapping[str, Any]], format: Format) -> None:
    """Print rows on standard output."""
    print({Format.TABLE: as_table, Format.CSV: as_csv, Format.JSON: as_json}[format](rows))


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns as wide as their widest cell, numbers to the right; never wrapped, so that grep works."""
    if not rows:
        return ""
    headings = list(rows[0])
    cells = [headings, *[[_shown(row.get(heading)) for heading in headings] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headings))]
    numeric = [all(_is_number(row.get(heading)) for row in rows) for heading in headings]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """With a heading line; missing values are empty. No spreadsheet runs anything of it."""
    text = io.StringIO()
    headings = list(rows[0]) if rows else []
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([as_cell(heading) for heading in headings])
    for row in rows:
        values = [row.get(heading) for heading in headings]
        writer.writerow(["" if _is_missing(value) else as_cell(value) for value in values])
    return text.getvalue().rstrip("\n")


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """A list of objects; missing values are null."""
    clean = [{key: None if _is_missing(value) else value for key, value in row.items()} for row in rows]
    return json.dumps(clean, indent=2, default=str)


def _shown(value: Any) -> str:
    return "" if _is_missing(value) else show_value(value)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_number(value: Any) -> bool:
    return _is_missing(value) or (isinstance(value, int | float) and not isinstance(value, bool))
