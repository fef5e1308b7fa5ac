"""Trials as typed tables: what varied first, whole numbers whole, what is missing missing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from seisweep.record import tags
from seisweep.record.mlflow_names import read_renamed
from seisweep.results.best_and_last import of_best_weights
from seisweep.results.runs import Point, Run, seconds_of
from trainables import metrics

ALWAYS = ("state", "seed", "reason", "epoch", "seconds")
"""Columns of every table of trials, behind those that varied."""


def params_of(run: Run) -> dict[str, Any]:
    """What was searched, as the values that they were; a store keeps text."""
    renamed = read_renamed(run.data.tags.get(tags.RENAMED, ""))
    return {renamed.get(key, key): parsed(text) for key, text in run.data.params.items()}


def seed_of(run: Run) -> int:
    return int(run.data.tags[tags.SEED])


def row_of(run: Run) -> dict[str, Any]:
    """A trial's row: what was searched, state, seed, reason, epochs done, seconds, each metric of its best weights."""
    facts, info = run.data.tags, run.info
    return params_of(run) | {
        "state": facts.get(tags.STATE, ""),
        tags.SEED: seed_of(run),
        "reason": facts.get(tags.REASON, ""),
        "epoch": int(facts.get(tags.EPOCHS, 0)),
        "seconds": seconds_of(info),
        **run.data.metrics,
        **{name: facts[name] for name in (metrics.INT8_VERDICT,) if name in facts},
    }


def varied_keys(runs: Sequence[Run]) -> list[str]:
    """Keys that were searched; those that only some trials have come later."""
    return list(dict.fromkeys(key for run in runs for key in sorted(params_of(run))))


def trials_frame(rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> pd.DataFrame:
    """Typed columns, `first` ones first. Metrics that are counts are whole numbers, the others floats."""
    names = dict.fromkeys((*first, *ALWAYS)) | dict.fromkeys(sorted({name for row in rows for name in row}))
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame({name: _column(name, values) for name, values in columns.items()})


def sweeps_frame(parents: Sequence[Run]) -> pd.DataFrame:
    """One row a sweep, from its parent run: name, kind, state, trials (missing where only time bounds it), best trial
    and value, when, note."""
    rows = []
    for run in map(of_best_weights, parents):
        facts = run.data.tags
        metric = next(iter(json.loads(facts[tags.OBJECTIVES])))
        rows.append(
            {
                "name": facts[tags.SWEEP],
                "kind": facts[tags.KIND],
                "state": facts.get(tags.STATE, ""),
                "trials": _whole(facts.get(tags.NUM_TRIALS, "")),
                "objective": metric,
                "best": run.data.metrics.get(metric),
                "best_trial": _whole(facts.get(tags.BEST_TRIAL, "")),
                "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
                "note": facts.get(tags.OWN_NOTE, facts.get(tags.NOTE, "")),
            }
        )
    columns = ["name", "kind", "state", "trials", "objective", "best", "best_trial", "started", "note"]
    return pd.DataFrame(rows, columns=columns).astype({"trials": "Int64", "best_trial": "Int64", "best": "float64"})


def _whole(text: str) -> int | None:
    return int(text) if text else None


def curves_frame(points: Sequence[Point], numbers: Mapping[str, int], metrics: Sequence[str]) -> pd.DataFrame:
    """Points as a table by (trial, step), one column a metric, in this order or sorted; of two values at one step the
    later one. `numbers`: of the trials, by run id."""
    columns = zip(*points, strict=True) if points else [[]] * len(Point._fields)
    long = pd.DataFrame(dict(zip(("trial", "metric", "step", "value"), columns, strict=True)))
    long["trial"] = long["trial"].map(numbers)
    long = long.drop_duplicates(["trial", "step", "metric"], keep="last")
    wide = long.set_index(["trial", "step", "metric"])["value"].unstack("metric").rename_axis(columns=None)
    return wide.reindex(columns=list(metrics)) if metrics else wide


def along_descent(curves: pd.DataFrame, exploits: pd.DataFrame, trial: int) -> pd.DataFrame:
    """Rows of `curves` by epoch, of whichever trial had the weights then that this trial ended with."""
    parts: list[pd.DataFrame] = []
    end = math.inf
    for begin, number in _descent(exploits, trial):
        own = curves[curves.index.get_level_values("trial") == number].droplevel("trial")
        parts.insert(0, own[(own.index > begin) & (own.index <= end)])
        end = begin
    return pd.concat(parts).rename_axis("epoch")


def _descent(exploits: pd.DataFrame, trial: int) -> Iterator[tuple[int, int]]:
    """Whose weights they were, backwards: the epoch after which, and the trial."""
    rows = exploits.to_dict("records")
    end = math.inf
    while True:
        taken = [(row["epoch"], row["donor"]) for row in rows if row["trial"] == trial and row["epoch"] < end]
        if not taken:
            yield 0, trial
            return
        end, donor = max(taken)
        yield int(end), trial
        trial = int(donor)


def parsed(text: str) -> Any:
    """A parameter's text as the value that it was."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _column(name: str, values: list[Any]) -> pd.Series:
    """Whole numbers and truth values with gaps get pandas' nullable types; without gaps the plain ones."""
    given = [value for value in values if value is not None and value == value]
    has_gaps = len(given) < len(values)
    if name in metrics.COUNTS and all(float(value).is_integer() for value in given):
        whole = [None if value is None else int(value) for value in values]
        return pd.Series(whole, dtype="Int64" if has_gaps else "int64")
    kinds = {type(value) for value in given}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if has_gaps else "bool")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64" if has_gaps else "int64")
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values, dtype="str")
    return pd.Series(values, dtype="object" if kinds else "float64")
