"""`seisweep ui`: MLflow's pages on a store, and where in them each sweep is."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.settings.home import Home
from seisweep.settings.which_profile import profile_of
from seisweep.settings.which_store import Store, store_by_default, store_of_sweep

if TYPE_CHECKING:
    from seisweep.results.runs import Run
    from seisweep.results.sweep_results import SweepResults

MOST_SWEEPS = 20
"""Lines of a store with many."""
WHAT_IT_SHOWS = {
    "trials": "state, objective, what was varied, INT8",
    "charts": "curves by epoch",
    "compare": "the best side by side",
    "sweep": "what was found, the report, charts and tables",
}


def ui(
    name: Annotated[
        str | None, typer.Argument(help="A launched sweep, to print only its links.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port; default: the one used before, else the first free one from 5000 on."
        ),
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Open the sweep, or the latest one, in a browser.")] = False,
    profile: ProfileName = "local",
) -> None:
    """Start MLflow's web UI and print a link to each sweep in it; Ctrl-C stops it."""
    from seisweep.record.mlflow_server import serve

    home, where = Home.find(), profile_of(profile)
    sweep = _sweep(home, name, profile) if name else None
    store = store_of_sweep(home, name, where) if name else store_by_default(home, where)

    def show(base: str) -> None:
        first = ""
        for line, link in _lines(base, store, sweep):
            print(line)
            first = first or link
        sys.stdout.flush()
        if open and not webbrowser.open(first or base):
            print(f"no browser can be opened here: {first or base}", file=sys.stderr)

    if code := serve(home, store.say(), port, show):
        raise typer.Exit(1 if code else 0)


def _sweep(home: Home, name: str, profile: str) -> SweepResults:
    """Raises ValueError where there is none of this name, before anything is started."""
    from seisweep import results

    return results.load_from(home, name, profile_of(profile))


def _lines(base: str, store: Store, sweep: SweepResults | None) -> Iterator[tuple[str, str]]:
    """What is printed, each with the link in it that a browser opens."""
    from seisweep.record.mlflow_pages import pages
    from seisweep.results.open_store import open_store

    if sweep is not None:
        info, best_ids = sweep.parent.info, [sweep.run(number).info.run_id for number in sweep.finished()]
        for page, path in pages(sweep.name, info.experiment_id, info.run_id, best_ids).items():
            yield f"{page:8} {base}{path}  {WHAT_IT_SHOWS[page]}", base + path
        return
    yield base, ""
    parents = open_store(store.uri).sweeps()
    yield from _line_by_sweep(base, parents[:MOST_SWEEPS])
    if len(parents) > MOST_SWEEPS:
        yield f"and {len(parents) - MOST_SWEEPS} more: seisweep ui NAME", ""


def _line_by_sweep(base: str, parents: Sequence[Run]) -> Iterator[tuple[str, str]]:
    from seisweep.record import tags
    from seisweep.record.mlflow_pages import pages

    widest = max((len(run.data.tags[tags.SWEEP]) for run in parents), default=0)
    for run in parents:
        name, state = run.data.tags[tags.SWEEP], run.data.tags.get(tags.STATE, "")
        paths = pages(name, run.info.experiment_id, run.info.run_id, [])
        trials, own = base + paths["trials"], base + paths["sweep"]
        yield f"{name:{widest}}  {state:11}  trials {trials}  sweep {own}", trials
