"""`seisweep confirm`: the best of a sweep again, with fresh seeds."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from seisweep.commands.options import Name, Note
from seisweep.commands.run import finish
from seisweep.engine.outcome import Outcome
from seisweep.engine.sweep_folder import Launch
from seisweep.launching.start import check_name, start
from seisweep.settings import in_a_job
from seisweep.settings.home import Home
from seisweep.settings.overrides import parse_overrides
from seisweep.settings.profile import Profile
from seisweep.settings.sent import sent_with
from seisweep.settings.which_profile import profile_by_default, profile_of
from seisweep.settings.which_store import store_of_sweep


def confirm(
    sweep: Annotated[str, typer.Argument(metavar="NAME", help="A launched sweep (see `seisweep sweeps`).")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Settings to change in every rerun, as training.epochs=20.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the best finished trials to train again.")] = 3,
    seeds: Annotated[int, typer.Option(help="New seeds for each, at least 2.")] = 5,
    profile: Annotated[
        str | None, typer.Option(help="Where trials run: local, cluster, or a TOML file; default where the sweep ran.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most trials to run at a time.")] = None,
    name: Name = None,
    note: Note = "",
) -> Outcome | int:
    """Train the settings of a sweep's best trials again with new seeds: does the winner stay the winner?"""
    check_name(name)
    overrides = parse_overrides(settings or [])
    home = Home.find()
    where = _where(sweep, profile, home)
    from seisweep import results
    from seisweep.requested.confirmation import plan

    first = results.load_from(home, sweep, where)
    wanted, words = plan(first, top, seeds, overrides)
    called = name or f"{sweep}-confirm"
    if home.sweep_dir(called).exists() and not in_a_job.is_again():
        raise ValueError(f"a sweep named {called} exists: go on with `seisweep resume {called}`, or choose --name")
    print("\n".join(words), file=sys.stderr)
    beside = store_of_sweep(home, sweep, where)
    return finish(start(wanted, where, name=called, note=note, concurrency=concurrency, store=beside))


def _where(sweep: str, profile: str | None, home: Home) -> Profile:
    """The profile by name, else the one that the sweep was launched with or sent with from this home, else the
    default."""
    if profile is None and home.sweep_file(sweep).exists():
        return Launch.read(home, sweep).profile
    sent = sent_with(home, sweep) if profile is None else None
    return sent or profile_of(profile or profile_by_default())
