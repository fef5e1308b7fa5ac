"""Results on standard output: aligned columns for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from seisweep.screen.terminal import columns_of, wrapped
from seisweep.text import short_names, show_value
from trainables.edge.spreadsheet import as_cell


class Format(StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


GAP = "  "
"""Between columns."""
LEAST_WORDS = 24
"""Characters that a column of words wants to be worth showing."""

TableFormat = Annotated[Format, typer.Option("--format", help="How the table is written.")]


def write(rows: Sequence[Mapping[str, Any]], format: Format) -> None:
    """Print rows on standard output."""
    print({Format.TABLE: as_table, Format.CSV: as_csv, Format.JSON: as_json}[format](rows))


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns as wide as their widest cell, numbers to the right; never wrapped, so that grep works."""
    if not rows:
        return ""
    headings = list(rows[0])
    cells = [[_shown(row.get(heading)) for heading in headings] for row in rows]
    numeric = [all(_is_number(row.get(heading)) for row in rows) for heading in headings]
    return "\n".join(aligned([headings, *cells], numeric))


def aligned(lines: Sequence[Sequence[str]], to_the_right: Sequence[bool]) -> list[str]:
    """Cells as lines of columns."""
    widths = _widths(lines)
    return [
        GAP.join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, to_the_right, strict=True)
        ).rstrip()
        for line in lines
    ]


def fitting(lines: Sequence[Sequence[str]], columns: int | None, wanted: Sequence[int] | None = None) -> list[int]:
    """Which columns of a table fit into a line of so many characters, in their order: as many as do, those of `wanted`
    first and in its order. A column is there whole or not at all: no number loses digits. The first one stays."""
    widths = _widths(lines)
    if columns is None:
        return list(range(len(widths)))
    order = list(dict.fromkeys([0, *(wanted or []), *range(len(widths))]))
    kept, used = order[:1], widths[order[0]]
    for column in order[1:]:
        if used + len(GAP) + widths[column] <= columns:
            used += len(GAP) + widths[column]
            kept.append(column)
    return sorted(kept)


def as_fitting_table(
    rows: Sequence[Mapping[str, Any]], columns: int | None, wanted: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """A table for a terminal of so many columns, and the headings that did not fit. Words of a last column wrap."""
    if not rows or columns is None:
        return as_table(rows), []
    headings = list(rows[0])
    last = headings[-1]
    wraps = any(isinstance(row.get(last), str) and " " in row[last] for row in rows)
    lines = [headings, *[[_shown(row.get(heading)) for heading in headings] for row in rows]]
    if wraps:
        lines = [[*line[:-1], line[-1][:LEAST_WORDS]] for line in lines]
    places = [headings.index(one) for one in wanted if one in headings]
    kept = [headings[place] for place in fitting(lines, columns, places)]
    left_out = [heading for heading in headings if heading not in kept]
    if not wraps or last not in kept:
        return as_table([{heading: row.get(heading) for heading in kept} for row in rows]), left_out
    return _wrapped([{heading: row.get(heading) for heading in kept} for row in rows], columns), left_out


def print_fitting(rows: Sequence[Mapping[str, Any]], wanted: Sequence[str], sweep: str = "") -> list[str]:
    """Print a table of a sweep on standard output: whole, or what fits into the width of a terminal, where a line says
    what does not. The headings of `wanted` have room before others. Returns the headings that had none."""
    columns = columns_of(sys.stdout)
    table, left_out = as_fitting_table(rows, columns, wanted)
    print(table, flush=True)
    missed = [heading for heading in left_out if any(_shown(row.get(heading)) for row in rows)]
    if missed:
        whole = f" (seisweep results {sweep} --format csv has all)" if sweep else ""
        print(wrapped(f"no room for {', '.join(missed)}{whole}", sys.stderr), file=sys.stderr)
    return left_out


def fitting_conditions(rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of a table of conditions, with short names of settings in a terminal; and what has room first there:
    settings, mean, difference and its interval, rather than spread and numbers of seeds."""
    headings = list(rows[0]) if rows else []
    settings = headings[: headings.index("seeds")] if "seeds" in headings else []
    short = short_names(settings) if columns_of(sys.stdout) else {}
    later = ("seeds", "missing", "sd", "pairs")
    renamed = [{short.get(key, key): value for key, value in row.items()} for row in rows]
    return renamed, [short.get(key, key) for key in headings if key not in later]


def fitting_verdict(rows: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Mapping[str, Any]], list[str]]:
    """The same of a confirmation: everything has room before the spread, of which intervals are made."""
    return rows, [heading for heading in (rows[0] if rows else {}) if heading != "sd"]


def _wrapped(rows: Sequence[Mapping[str, Any]], columns: int) -> str:
    """Words of the last column go on below each other."""
    last = list(rows[0])[-1]
    others = as_table([{key: value for key, value in row.items() if key != last} for row in rows]).splitlines()
    indent = max(len(line) for line in others) + len(GAP)
    wrapped = []
    for line, words in zip(others or [""], [last, *[_shown(row[last]) for row in rows]], strict=True):
        first, *more = textwrap.wrap(words, max(LEAST_WORDS, columns - indent), break_long_words=False) or [""]
        wrapped += [f"{line.ljust(indent)}{first}".rstrip(), *(f"{' ' * indent}{rest}" for rest in more)]
    return "\n".join(wrapped)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]


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
