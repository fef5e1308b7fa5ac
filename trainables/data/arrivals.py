"""Which columns of a data set hold arrivals, and which of these lie inside their trace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

_P_NAMES = ("p", "P", "P1", "Pg", "Pn", "Pb", "PmP", "pP", "pwP", "pwPm")
_S_NAMES = ("s", "S", "S1", "Sg", "Sn", "Sb", "SmS")
PICK_COLUMNS = {f"trace_{name}_arrival_sample": "P" for name in _P_NAMES} | {
    f"trace_{name}_arrival_sample": "S" for name in _S_NAMES
}
"""All columns of SeisBench's data sets that hold a P or an S pick, in samples of the trace. Second and later arrivals
of a phase lie in numbered ones beside them: `trace_P_1_arrival_sample`, `trace_P_2_arrival_sample`."""

_NUMBERED = re.compile(r"trace_(?P<name>\w+?)_(?P<number>\d+)_arrival_sample")
_ANY = re.compile(r"(?:trace_)?(?P<name>.+)_arrival_(?P<unit>samples?|time)(?:[._]?\d+)?", re.IGNORECASE)


def arrival_columns(columns: Iterable[str]) -> dict[str, str]:
    """The phase, P or S, of each of these columns that holds arrivals: the unnumbered first, then by number."""
    return dict(_arrival_columns(tuple(columns)))


@lru_cache(maxsize=16)
def _arrival_columns(columns: tuple[str, ...]) -> dict[str, str]:
    """Once for all traces of a data set."""
    there = set(columns)
    found = {column: phase for column, phase in PICK_COLUMNS.items() if column in there}
    numbered = [match for column in there if (match := _NUMBERED.fullmatch(str(column)))]
    for match in sorted(numbered, key=lambda match: (int(match["number"]), match.string)):
        if phase := PICK_COLUMNS.get(f"trace_{match['name']}_arrival_sample"):
            found[match.string] = phase
    return found


def unread_columns(metadata: pd.DataFrame) -> dict[str, int]:
    """Columns that are named as arrivals and that nothing here reads, with the number of values in each."""
    read = arrival_columns(metadata.columns)
    in_samples = {match["name"] for column in read if (match := _ANY.fullmatch(column))}
    named = [
        column
        for column in metadata.columns
        if column not in read
        and (match := _ANY.fullmatch(str(column)))
        and not (match["unit"].lower() == "time" and match["name"] in in_samples)  # the same pick in other words
    ]
    counts = {column: int(metadata[column].notna().sum()) for column in named}
    return {column: count for column, count in counts.items() if count}


def arrivals_in(metadata: Mapping[str, Any], num_samples: int) -> tuple[list[tuple[str, float]], int]:
    """Phase and sample of each arrival of one trace, and how many lie outside it, which are not arrivals.

    The same arrival in two columns counts once where one of them is numbered.
    """
    found: list[tuple[str, float]] = []
    outside = 0
    for column, phase in arrival_columns(metadata).items():
        sample = as_sample(metadata[column])
        if np.isnan(sample):
            continue
        if not 0 <= sample < num_samples:
            outside += 1
        elif column in PICK_COLUMNS or (phase, sample) not in found:
            found.append((phase, sample))
    return found, outside


def as_sample(value: Any) -> float:
    """A cell of a column of arrivals; NaN where there is none, or a text (`catalog.check_dataset` names it)."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def possible_arrivals(metadata: pd.DataFrame) -> pd.DataFrame:
    """Arrivals by column as floats, NaN where there is none or it lies outside its trace as far as the metadata tell
    (`trace_npts`; no arrival lies before the first sample)."""
    samples = metadata[list(arrival_columns(metadata.columns))].apply(pd.to_numeric, errors="coerce").astype(float)
    possible = (samples >= 0) & np.isfinite(samples)
    if "trace_npts" in metadata:
        length = pd.to_numeric(metadata["trace_npts"], errors="coerce").to_numpy(dtype=float)
        possible &= ~(samples.to_numpy() >= np.where(np.isfinite(length), length, np.inf)[:, None])
    return samples.where(possible)


def has_phase(metadata: pd.DataFrame, phase: str) -> pd.Series:
    """Whether each trace has an arrival of this phase, as far as the metadata tell."""
    columns = [column for column, its in arrival_columns(metadata.columns).items() if its == phase]
    return possible_arrivals(metadata)[columns].notna().any(axis=1)


def notices(metadata: pd.DataFrame) -> list[str]:
    """What the metadata alone tell of arrivals that are not used: a line each, with its count."""
    columns = list(arrival_columns(metadata.columns))
    given = metadata[columns].apply(pd.to_numeric, errors="coerce").notna().to_numpy().sum()
    outside = int(given - possible_arrivals(metadata).notna().to_numpy().sum())
    lines = [f"{outside} picks lie outside their traces and do not count"] if outside else []
    return lines + [
        f"column {column} is not read ({count} values)" for column, count in unread_columns(metadata).items()
    ]
