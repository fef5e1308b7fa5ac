"""Picks as tables: our own CSV, and those that SeisBench, PyOcto and GaMMA read."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from trainables.edge.picking import Pick
from trainables.edge.spreadsheet import as_cell

COLUMNS = ("network", "station", "location", "phase", "time", "probability")
SEISBENCH = ("trace_id", "start_time", "end_time", "peak_time", "peak_value", "phase")
"""Fields of `seisbench.util.Pick`."""
PYOCTO = ("station", "phase", "time", "probability")
"""The first three are those of "Pick format" in PyOcto's documentation; it carries further ones along."""
GAMMA = ("id", "timestamp", "prob", "type")
"""As GaMMA's documentation has them (docs/example_seisbench.ipynb). Amplitudes are not measured: `use_amplitude` must
be False."""


def table(picks: Sequence[Pick]) -> str:
    """Our own: one row a pick, times in ISO 8601."""
    return _csv(COLUMNS, ((*pick[:5], f"{pick.probability:.4f}") for pick in picks))


def seisbench(picks: Sequence[Pick]) -> str:
    """`trace_id` is NET.STA.LOC, times are ISO 8601, `start_time` and `end_time` where the curve crosses the threshold
    and half of it."""
    rows = ((p.trace_id, p.start_time, p.end_time, p.time, f"{p.probability:.6f}", p.phase) for p in picks)
    return _csv(SEISBENCH, rows)


def pyocto(picks: Sequence[Pick]) -> str:
    """`station` is NET.STA.LOC, as `OctoAssociator.inventory_to_df` names stations; `time` in seconds since 1970."""
    rows = ((p.trace_id, p.phase, f"{p.time.ns / 1e9:.6f}", f"{p.probability:.6f}") for p in picks)
    return _csv(PYOCTO, rows)


def gamma(picks: Sequence[Pick]) -> str:
    """`id` is NET.STA.LOC, `timestamp` UTC without a zone, which GaMMA takes for UTC, `type` p or s."""
    rows = (
        (p.trace_id, p.time.strftime("%Y-%m-%dT%H:%M:%S.%f"), f"{p.probability:.6f}", p.phase.lower()) for p in picks
    )
    return _csv(GAMMA, rows)


TABLES: dict[str, Callable[[Sequence[Pick]], str]] = {
    "csv": table,
    "seisbench": seisbench,
    "pyocto": pyocto,
    "gamma": gamma,
}


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([as_cell(value) for value in row] for row in rows)
    return text.getvalue()
