"""`seisweep results`: what was found, in one sweep or in several."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName
from seisweep.record.gc_pause import no_collections
from seisweep.screen.tables import Format, TableFormat, fitting_conditions, fitting_verdict, print_fitting, write
from seisweep.screen.terminal import columns_of, wrapped
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.overrides import parse_overrides
from seisweep.settings.paths import with_absolute_paths
from seisweep.settings.which_profile import profile_of
from seisweep.text import short_names, some

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.sweep import Confirms
    from seisweep.results.sweep_results import SweepResults
    from seisweep.statistics.conditions import Baseline, Condition


TOP_OF_EACH = 3
"""Of several sweeps."""
TOP_REASONS, TOP_TRIALS = 5, 12
"""How many reasons of trials that ended early, and trials of each, stand below a table that has no room for them."""


class By(StrEnum):
    """What a row of results is."""

    TRIAL = "trial"
    CONDITION = "condition"


def results(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="A launched sweep (see `seisweep sweeps`), or several to compare."),
    ],
    top: Annotated[int | None, typer.Option(min=1, help="Show only the best K.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="Metric to sort by, the best first, or a setting; default the objective.")
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(help="One row for each trial, or for each condition: the same settings, averaged over the seeds."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Compare the conditions with the one that has this setting."),
    ] = None,
    format: TableFormat = Format.TABLE,
    profile: ProfileName = "local",
) -> None:
    """Show the trials of a sweep, the best first; with several seeds also its conditions: mean, spread, differences.

    A table shows the most important columns; csv and json hold every metric, and with --by condition the conditions.
    With several sweeps: the best three trials of each, or --top K, and how the sweeps differ.
    """
    if names[1:]:
        _compare(names, top, format, profile, {"--sort": sort, "--by": by, "--baseline": baseline})
        return
    (name,) = names
    with no_collections():  # MLflow's imports included
        from seisweep import results as record

        loaded = record.load_from(Home.find(), name, profile_of(profile))
        with_conditions = by is By.CONDITION or (by is None and loaded.has_seeds and format is Format.TABLE)
        if baseline and not with_conditions:
            raise ValueError("--baseline compares conditions: give --by condition too")
        if by is By.CONDITION and (sort or top):
            raise ValueError(f"{'--sort' if sort else '--top'} applies to trials, not to conditions")
        found = loaded.grouped() if with_conditions else []
        confirms = loaded.confirms if found and not baseline else None
        whom = loaded.baseline(found, _settings(baseline)) if found else None
        if by is not By.CONDITION:
            trials = _ordered(loaded, sort).head(top or len(loaded.runs)).reset_index()
            if format is Format.TABLE:
                _write_trials(trials, loaded, sort)
            else:
                write(rows_of(trials), format)
        if confirms is not None:
            _write_verdict(found, confirms, loaded, format, below=by is None)
        elif whom is not None:
            _write_conditions(found, whom, loaded, format, below=by is None)


def _compare(names: list[str], top: int | None, format: Format, profile: str, of_one: Mapping[str, Any]) -> None:
    """Several sweeps in one table. `of_one`: options that are about a single sweep. Raises ValueError."""
    if given := next((option for option, value in of_one.items() if value), None):
        raise ValueError(f"{given} is for one sweep: give one sweep, or leave {given} out")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is named twice")
    with no_collections():
        from seisweep import results as record
        from seisweep.report.compared import Compared

        home, where = Home.find(), profile_of(profile)
        compared = Compared([record.load_from(home, name, where) for name in names], top or TOP_OF_EACH)
        rows = compared.rows()
        if format is Format.TABLE:
            print_fitting(rows, ["sweep", "trial", *compared.metrics])
        else:
            write(rows, format)
        for line in compared.lines():
            print(wrapped(line, sys.stderr), file=sys.stderr)


def _write_trials(trials: pd.DataFrame, loaded: SweepResults, sort: str | None) -> None:
    """Teachers first, then the trials, scores with their intervals; under it how far they can be trusted."""
    from seisweep.results.best_and_last import whose_files, whose_scores
    from seisweep.results.certainty import lines
    from seisweep.statistics import certainty

    shown = _columns(trials, loaded, sort)
    measured = {int(number): loaded.runs[int(number)].data.metrics for number in trials["trial"]}
    scored = certainty.scores_with_intervals(shown, measured.values())
    rows = rows_of(trials[shown])
    of_trials = [(measured[row["trial"]], row) for row in rows]
    teachers = [
        ({**dict.fromkeys(shown), **one.params, **one.metrics, "trial": certainty.TEACHER}, one.metrics)
        for one in certainty.teachers(of_trials, shown)
    ]
    wide = [({key: row[key] for key in shown}, values) for row, values in teachers]
    wide += [(row, values) for values, row in of_trials]
    table = [certainty.with_intervals(row, values, scored) for row, values in wide]
    short = (
        short_names(loaded.params) if columns_of(sys.stdout) else {}
    )  # whole keys where programs read, for --sort too
    table = [{short.get(key, key): value for key, value in row.items()} for row in table]
    left_out = print_fitting(table, [short.get(key, key) for key in _first(loaded, sort)], loaded.name)
    reasons = _reasons(rows) if "reason" in left_out else []
    files = whose_files(loaded, set(shown) - set(left_out))
    for line in [*reasons, whose_scores(loaded), *files, *lines(loaded, shown)]:
        print(wrapped(line, sys.stderr), file=sys.stderr)


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Why trials ended early, for which the table has no room: each reason once, with the trials that have it."""
    having: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"]:
            having.setdefault(row["reason"], []).append(str(row["trial"]))
    lines = [
        f"trial{'s' if trials[1:] else ''} {some(trials, TOP_TRIALS)}: {reason}" for reason, trials in having.items()
    ]
    return lines[:TOP_REASONS] + ([f"and {more} more reasons"] if (more := len(lines) - TOP_REASONS) > 0 else [])


def _write_conditions(
    found: list[Condition], baseline: Baseline, loaded: SweepResults, format: Format, below: bool
) -> None:
    """The second table, in the order of the grid; under it what its differences are."""
    from seisweep.statistics.ablation import best_of_both
    from seisweep.statistics.conditions import as_frame, table_rows

    if format is not Format.TABLE:
        write(rows_of(as_frame(found, baseline)), format)
        return
    if below:
        print()
    print_fitting(*fitting_conditions(table_rows(found, baseline, loaded.objective.metric)), loaded.name)
    if len(found) > 1:
        sys.stdout.flush()
        for line in [baseline.words, *best_of_both(found, loaded.objective)]:
            print(wrapped(line, sys.stderr), file=sys.stderr)


def _write_verdict(
    found: list[Condition], confirms: Confirms, loaded: SweepResults, format: Format, below: bool
) -> None:
    """Of a sweep that trained the best of another again: each beside what it had there, and what follows."""
    from seisweep.results.certainty import counts_of_conditions
    from seisweep.statistics.confirmation import as_frame, table_rows, verdict

    if format is not Format.TABLE:
        write(rows_of(as_frame(found, confirms)), format)
        return
    if below:
        print()
    objective = loaded.objective
    print_fitting(*fitting_verdict(table_rows(found, confirms, objective.metric)), loaded.name)
    events = counts_of_conditions(loaded, found, objective.metric)
    print("\n" + "\n".join(verdict(found, confirms, objective, events)))


def _settings(words: list[str] | None) -> dict[str, Any] | None:
    """`--baseline model.start=random` as settings. Raises ValueError."""
    if not words:
        return None
    base, vary = parse_overrides(words)
    if vary:
        raise ValueError(f"--baseline {next(iter(vary))} has several values: a baseline has one")
    return with_absolute_paths(base)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries, whole numbers as such, what is missing as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _ordered(loaded: SweepResults, sort: str | None) -> pd.DataFrame:
    """Trials by a metric, the best first, default the objective; or by a setting, from small to large."""
    trials = loaded.trials
    if sort is None or sort in loaded.metrics:
        return trials.loc[loaded.ranked(sort)]
    if sort not in trials:
        raise ValueError(f"--sort {sort}: no trial has it{nearest(sort, map(str, trials.columns))}")
    failed_last = trials.assign(_failed=trials["state"] == "failed").sort_values(["_failed", sort], kind="stable")
    return failed_last.drop(columns="_failed")


def _first(loaded: SweepResults, sort: str | None) -> list[str]:
    """Of these columns those that have room before others in a narrow terminal."""
    from seisweep.statistics import certainty

    objective = loaded.objective.metric
    return [
        "trial",
        "state",
        *loaded.objectives,
        *([sort] if sort else []),
        *loaded.params,
        certainty.heading(objective),
    ]


def _columns(trials: pd.DataFrame, loaded: SweepResults, sort: str | None) -> list[str]:
    """What a table shows: state, objectives, what says most about the files, what was searched."""
    from trainables import metrics

    wanted = ["trial", "state", "epoch", *loaded.objectives, *metrics.HEADLINES, *metrics.LATENCIES]
    wanted += [metrics.INT8_VERDICT, *loaded.params]
    wanted += [sort] if sort else []
    wanted += ["reason"] if (trials["reason"] != "").any() else []
    return [column for column in dict.fromkeys(wanted) if column in trials]
