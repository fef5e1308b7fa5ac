"""`seisweep results` and `seisweep sweeps`: what was found, and what there is."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.options import ProfileName, profile_of
from seisweep.record.gc_pause import no_collections
from seisweep.screen.tables import Format, TableFormat, write
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.overrides import parse_overrides
from seisweep.settings.paths import with_absolute_paths
from seisweep.settings.which_store import kept_store, store_by_default

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.sweep import Confirms
    from seisweep.results.sweep_results import SweepResults
    from seisweep.statistics.conditions import Baseline, Condition
    from seisweep.statistics.objective import Objective


class By(StrEnum):
    """What a row of results is."""

    TRIAL = "trial"
    CONDITION = "condition"


def results(
    name: Annotated[str, typer.Argument(help="Name of a launched sweep (see `seisweep sweeps`).")],
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
    """Trials of a sweep, the best first; with several seeds also its conditions, with mean, spread and differences.

    A table shows what counts. csv and json hold every metric; with several seeds, --by condition holds the other table.
    """
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
            write(rows_of(trials[_columns(trials, loaded, sort)] if format is Format.TABLE else trials), format)
        if confirms is not None:
            _write_verdict(found, confirms, loaded.objective, format, below=by is None)
        elif whom is not None:
            _write_conditions(found, whom, loaded, format, below=by is None)


def _write_conditions(
    found: list[Condition], baseline: Baseline, loaded: SweepResults, format: Format, below: bool
) -> None:
    """The second table, in the order of the grid; under it what its differences are."""
    from seisweep.statistics.conditions import as_frame, table_rows

    if format is not Format.TABLE:
        write(rows_of(as_frame(found, baseline)), format)
        return
    if below:
        print()
    write(table_rows(found, baseline, loaded.objective.metric), format)
    if len(found) > 1:
        sys.stdout.flush()
        print(baseline.words, file=sys.stderr)


def _write_verdict(
    found: list[Condition], confirms: Confirms, objective: Objective, format: Format, below: bool
) -> None:
    """Of a sweep that trained the best of another again: each beside what it had there, and what follows."""
    from seisweep.statistics.confirmation import as_frame, table_rows, verdict

    if format is not Format.TABLE:
        write(rows_of(as_frame(found, confirms)), format)
        return
    if below:
        print()
    write(table_rows(found, confirms, objective.metric), format)
    print("\n" + "\n".join(verdict(found, confirms, objective)))


def _settings(words: list[str] | None) -> dict[str, Any] | None:
    """`--baseline model.start=random` as settings. Raises ValueError."""
    if not words:
        return None
    base, vary = parse_overrides(words)
    if vary:
        raise ValueError(f"--baseline {next(iter(vary))} has several values: a baseline has one")
    return with_absolute_paths(base)


def sweeps(format: TableFormat = Format.TABLE, profile: ProfileName = "local") -> None:
    """Named sweeps that can be run, and those launched with their state."""
    from search_spaces.named import descriptions

    if format is Format.TABLE:
        write([{"sweep": name, "what it is": words} for name, words in descriptions().items()], format)
    home, where = Home.find(), profile_of(profile)
    store = store_by_default(home, where)
    elsewhere = [name for name in home.sweep_names if kept_store(home, name).uri != store.uri]
    if elsewhere:
        count = f"{len(elsewhere)} sweep{'s' if elsewhere[1:] else ''}"
        shown = f"{', '.join(elsewhere[:3])}{' ...' if len(elsewhere) > 3 else ''}"
        print(f"{count} of this home {'are' if elsewhere[1:] else 'is'} in another store: {shown}", file=sys.stderr)
    if store.is_own and not home.database.exists():
        return
    from seisweep import results as record

    launched = record.sweeps(profile=where)
    launched["state"] = [_state_now(home, *sweep) for sweep in zip(launched["name"], launched["state"], strict=True)]
    if format is Format.TABLE and not launched.empty:
        print()
        launched["started"] = launched["started"].dt.strftime("%Y-%m-%d %H:%M")
    write(rows_of(launched), format)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries, whole numbers as such, what is missing as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _state_now(home: Home, name: str, recorded: str) -> str:
    """A driver that was killed has left its sweep running in MLflow; its lock and its ledger know better."""
    if recorded != "running" or not home.sweep_dir(name).is_dir() or home.is_read_only:
        return recorded
    from seisweep.engine.launch import sweep_state

    return sweep_state(home, name)


def _ordered(loaded: SweepResults, sort: str | None) -> pd.DataFrame:
    """Trials by a metric, the best first, default the objective; or by a setting, from small to large."""
    trials = loaded.trials
    if sort is None or sort in loaded.metrics:
        return trials.loc[loaded.ranked(sort)]
    if sort not in trials:
        raise ValueError(f"--sort {sort}: no trial has it{nearest(sort, map(str, trials.columns))}")
    failed_last = trials.assign(_failed=trials["state"] == "failed").sort_values(["_failed", sort], kind="stable")
    return failed_last.drop(columns="_failed")


def _columns(trials: pd.DataFrame, loaded: SweepResults, sort: str | None) -> list[str]:
    """What a table shows: state, objectives, what says most about the files, what was searched."""
    from trainables import metrics

    wanted = ["trial", "state", "epoch", *loaded.objectives, *metrics.HEADLINES, *loaded.params]
    wanted += [sort] if sort else []
    wanted += ["reason"] if (trials["reason"] != "").any() else []
    return [column for column in dict.fromkeys(wanted) if column in trials]
