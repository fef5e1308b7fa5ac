"""What is said at the end of a sweep: the best trials, where the record lies, what to do next."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.record import tags
from seisweep.screen.tables import fitting_conditions, fitting_verdict, print_fitting
from seisweep.screen.terminal import columns_of, follows_links, linked, wrapped
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.statistics import certainty
from seisweep.statistics.ablation import best_of_both
from seisweep.statistics.conditions import Measured, group
from seisweep.statistics.objective import Objective, Standing
from seisweep.text import short_names
from trainables import metrics

if TYPE_CHECKING:
    from search_spaces.sweep import Confirms
    from seisweep.statistics.conditions import Condition
    from trainables.evaluation.counts import EventCounts

TOP = 10
TOP_REASONS = 5
TOP_CONDITIONS = 30


def show(outcome: Outcome) -> None:
    """The best trials on standard output, links and next commands on standard error."""
    rows = ranked(outcome.rows, outcome.objectives)
    if rows:
        varied = short_names(list(dict.fromkeys(key for row in rows for key in row.params))).values()
        interval = certainty.heading(Objective.first(outcome.objectives).metric)
        first = ["trial", "state", *outcome.objectives, interval, *varied]
        print_fitting(trial_rows(rows[:TOP], list(outcome.objectives)), first, outcome.name)
    words = _show_conditions(outcome)
    sys.stdout.flush()
    for line in [*words, *closing_lines(outcome), *left_out_line(outcome.nodes_left_out)]:
        print(wrapped(line, sys.stderr), file=sys.stderr)


def _show_conditions(outcome: Outcome) -> list[str]:
    """With several seeds a second table: mean and spread of each condition, differences. What is to be said of it."""
    from seisweep.statistics import conditions

    found = of_outcome(outcome)
    if not found:
        return []
    if outcome.confirms is not None:
        return _show_verdict(found, outcome, outcome.confirms)
    baseline = conditions.Baseline.usual(found, outcome.baseline)
    shown = conditions.table_rows(found, baseline, Objective.first(outcome.objectives).metric)
    print()
    print_fitting(*fitting_conditions(shown[:TOP_CONDITIONS]), outcome.name)
    lines = ["", baseline.words] if len(found) > 1 else []
    lines += best_of_both(found, Objective.first(outcome.objectives))
    if len(found) > TOP_CONDITIONS:
        lines.append(f"all {len(found)} conditions: seisweep results {outcome.name} --by condition")
    return lines + _figures(outcome)


def _show_verdict(found: list[Condition], outcome: Outcome, confirms: Confirms) -> list[str]:
    """Of a sweep that trained the best of another again: does its winner stay the winner?"""
    from seisweep.statistics.confirmation import table_rows, verdict

    objective = Objective.first(outcome.objectives)
    print()
    print_fitting(*fitting_verdict(table_rows(found, confirms, objective.metric)), outcome.name)
    print()
    print("\n".join(verdict(found, confirms, objective, _counts(outcome, found, objective.metric))))
    return ["", *_figures(outcome)]


def _counts(outcome: Outcome, found: list[Condition], metric: str) -> list[EventCounts | None]:
    """Of each condition its counts by dev event; none where the store does not answer now."""
    from seisweep import results
    from seisweep.results.certainty import counts_of_conditions

    try:
        return counts_of_conditions(results.load(outcome.name, outcome.tracking_uri), found, metric)
    except ValueError:
        return []


def _figures(outcome: Outcome) -> list[str]:
    folder = Home.find().sweep_dir(outcome.name) / tags.CONDITIONS_FOLDER
    return [f"figures and table of the conditions: {from_here(folder)}"] if folder.is_dir() else []


def closing_lines(outcome: Outcome) -> list[str]:
    """How it ended, where the files lie, and the commands and links that come next."""
    failed = [*failures(outcome.rows), *unfinished(outcome.rows)]
    lines = ["", *failed]
    if outcome.obstacle:
        lines.append(f"interrupted, {outcome.obstacle}, then: seisweep resume {outcome.name}")
    elif outcome.state == "interrupted":
        lines.append(f"interrupted; go on with: seisweep resume {outcome.name}")
    if failed or outcome.state != "finished":
        lines += _logs(Home.find().sweep_dir(outcome.name))
    if len(outcome.rows) > TOP:
        lines.append(f"all {len(outcome.rows)} trials: seisweep results {outcome.name}")
    if outcome.lacks_in_mlflow:
        return lines  # who has just been waited for is not asked for more
    try:
        return lines + _record(outcome)
    except Exception as error:  # the sweep is done and its table printed: a server that is gone takes nothing away
        return [*lines, f"MLflow does not answer now: {' '.join(str(error).split())[:120]}"]


def _logs(folder: Path) -> list[str]:
    """Where logs are; where nothing was to be said there is no file."""
    own, of_trials = folder / "sweep.log", folder / "logs"
    known = [from_here(own)] if own.is_file() else []
    known += [f"of each trial in {from_here(of_trials)}"] if of_trials.is_dir() and any(of_trials.iterdir()) else []
    return [f"logs: {', '.join(known)}"] if known else []


def failures(rows: Sequence[TrialRow]) -> list[str]:
    """How many trials failed, and with what reasons, the most frequent first; nothing where none did."""
    return _by_reason([row for row in rows if row.state == "failed"], len(rows), "failed")


def unfinished(rows: Sequence[TrialRow]) -> list[str]:
    """The same of trials that no machine of a cluster could finish: they go on when the sweep is resumed."""
    of_machines = [row for row in rows if row.state == "interrupted" and row.reason]
    return _by_reason(of_machines, len(rows), "are not finished, because of the machines that they were tried on")


def _by_reason(rows: Sequence[TrialRow], num_trials: int, what: str) -> list[str]:
    by_reason: dict[str, list[int]] = {}
    for row in rows:
        by_reason.setdefault(row.reason, []).append(row.number)
    if not by_reason:
        return []
    lines = [f"{len(rows)} of {num_trials} trials {what}:"]
    for reason, numbers in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:TOP_REASONS]:
        which = f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:TOP]))}"
        lines.append(f"  {which}{' ...' if len(numbers) > TOP else ''}: {reason}")
    if len(by_reason) > TOP_REASONS:
        lines.append(f"  and {len(by_reason) - TOP_REASONS} more reasons")
    return lines


def left_out_line(nodes: Sequence[tuple[str, str]]) -> list[str]:
    """The last line of a sweep on a cluster on some of whose nodes no trial ran; none where all were good."""
    if not nodes:
        return []
    shown = "; ".join(f"{node}: {reason}" for node, reason in nodes[:TOP_REASONS])
    more = f"; and {len(nodes) - TOP_REASONS} more" if len(nodes) > TOP_REASONS else ""
    return [f"{len(nodes)} node{'s' if len(nodes) > 1 else ''} left out: {shown}{more}"]


def best_files(outcome: Outcome) -> Path | None:
    """Folder with the files of the best trial, None where no trial finished."""
    from seisweep import results

    if outcome.best is None or outcome.best.state != "done":
        return None
    return results.load(outcome.name, outcome.tracking_uri).artifacts(outcome.best.number)


def _place(outcome: Outcome) -> str:
    """Where the files of the best trial are: here, or by their address on a server. Nothing is fetched for it."""
    from seisweep import results
    from seisweep.results.files import folder_here

    if outcome.best is None or outcome.best.state != "done":
        return ""
    run = results.load(outcome.name, outcome.tracking_uri).run(outcome.best.number)
    folder = folder_here(run)
    return from_here(folder) if folder else str(run.info.artifact_uri)


def _record(outcome: Outcome) -> list[str]:
    """Files of the best trial and pages in MLflow; those of one's own server work while `seisweep ui` runs."""
    if not outcome.parent_run_id:
        return []
    from seisweep.record.mlflow_pages import links, page_of
    from seisweep.record.mlflow_server import base_url

    files = [f"files of trial {outcome.best.number}: {place}"] if outcome.best and (place := _place(outcome)) else []
    report = [f"all of it as one page: seisweep report {outcome.name}"] if len(outcome.rows) > 1 else []
    remote = outcome.tracking_uri.startswith("http")
    base = base_url(outcome.tracking_uri)
    where = outcome.experiment_id, outcome.parent_run_id, outcome.tracking_uri
    pages = links(outcome.name, outcome.objectives, *where, outcome.best_apart)
    if outcome.confirms is not None:
        pages |= {"first": first} if (first := page_of(outcome.confirms.sweep, outcome.tracking_uri)) else {}
    wanted = (
        ("trials", "charts", "compare", "sweep", "first") if len(outcome.rows) > 1 else ("trials", "sweep", "first")
    )
    heading = "in MLflow:" if remote else "in MLflow, while `seisweep ui` runs:"
    addresses = _addresses(base, pages, wanted)
    return [*_how_certain(outcome), *files, *report, *next_of_streams(outcome), heading, *addresses]


def next_of_streams(outcome: Outcome) -> list[str]:
    """What there is to do with a picker that learned from continuous waveforms; nothing of other sweeps."""
    if outcome.best is None or metrics.AGREEMENT_F1 not in outcome.best.metrics:
        return []
    return [
        f"scores on the held-out parts, and a picker folder: seisweep promote {outcome.name}",
        f"its picks: seisweep pick {outcome.name} WAVEFORMS --output picks.csv",
    ]


def _addresses(base: str, pages: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
    """A line for each page: short where a terminal keeps the whole address behind it, whole where none reads. In other
    terminals those that take several lines are left to the page of the trials, which has a way to them."""
    shown = {page: f"{base}{pages[page]}" for page in wanted if page in pages}
    lines = {
        page: f"  {page:8} {linked(address.partition('?')[0], address, sys.stderr)}" for page, address in shown.items()
    }
    columns = columns_of(sys.stderr)
    if columns is None or follows_links(sys.stderr):
        return list(lines.values())
    long = [page for page, line in lines.items() if len(line) > columns and page != "trials"]
    views = [f"  {' and '.join(long)}: views of that page"] if long else []
    return [*(line for page, line in lines.items() if page not in long), *views]


def _how_certain(outcome: Outcome) -> list[str]:
    """Whose scores and files the table is about, and how far scores can be trusted."""
    from seisweep import results
    from seisweep.results.best_and_last import whose_files, whose_scores
    from seisweep.results.certainty import lines

    loaded, shown = results.load(outcome.name, outcome.tracking_uri), [*outcome.objectives, *metrics.HEADLINES]
    return [whose_scores(loaded), *whose_files(loaded, shown), *lines(loaded, shown)]


def ranked(rows: Sequence[TrialRow], objectives: Mapping[str, str]) -> list[TrialRow]:
    """Best first, as every table of trials has it."""
    objective = Objective.first(objectives)
    return objective.order(rows, lambda row: Standing(row.state, row.metrics.get(objective.metric), row.number))


def trial_rows(rows: Sequence[TrialRow], objectives: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a table: trial, state, epochs, metrics with their intervals, then what varies. A teacher comes first."""
    others = [name for name in metrics.HEADLINES if name not in objectives and any(name in row.metrics for row in rows)]
    short = short_names(list(dict.fromkeys(key for row in rows for key in row.params)))
    shown = [*objectives, *others]
    scored = certainty.scores_with_intervals(shown, [row.metrics for row in rows])

    def as_row(trial: int | str, state: str, epoch: int | None, given: certainty.Measured) -> dict[str, Any]:
        values = {name: given.metrics.get(name) for name in shown}
        settings = {heading: given.params.get(key) for key, heading in short.items()}
        row = {"trial": trial, "state": state, "epoch": epoch} | values | settings
        return certainty.with_intervals(row, given.metrics, scored)

    teachers = certainty.teachers(((row.metrics, row.params) for row in rows), shown)
    return [
        *(as_row(certainty.TEACHER, "", None, teacher) for teacher in teachers),
        *(as_row(row.number, row.state, row.epoch, certainty.Measured(row.metrics, row.params)) for row in rows),
    ]


def of_outcome(outcome: Outcome) -> list[Condition]:
    """The conditions of a sweep that has just ended, by its first objective; none where it had a single seed."""
    if len({row.seed for row in outcome.rows}) < 2:
        return []
    metric = Objective.first(outcome.objectives).metric
    return group(
        Measured(row.params, row.seed, row.metrics.get(metric) if row.state == "done" else None) for row in outcome.rows
    )
