"""`seisweep sweeps`: what can be run and what there is; one of them in full."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seisweep.commands.jobs import latest_jobs, with_jobs
from seisweep.commands.options import ProfileName
from seisweep.commands.results import rows_of
from seisweep.record.gc_pause import no_collections
from seisweep.screen.tables import Format, TableFormat, print_fitting, write
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_profile import profile_of
from seisweep.settings.which_store import Store, kept_store, store_by_default, store_of_sweep

if TYPE_CHECKING:
    from seisweep.engine.job import Job
    from seisweep.results.sweep_results import SweepResults


def sweeps(
    name: Annotated[
        str | None,
        typer.Argument(help="A launched or a named sweep, to show it in full.", show_default=False),
    ] = None,
    format: TableFormat = Format.TABLE,
    profile: ProfileName = "local",
) -> None:
    """List named sweeps, which can be run, and launched sweeps with their state; or show one in full."""
    from search_spaces.named import descriptions

    if name is not None:
        _show_one(name, format, profile)
        return
    if format is Format.TABLE:
        print_fitting([{"sweep": name, "what it is": words} for name, words in descriptions().items()], [])
    home, where = Home.find(), profile_of(profile)
    store = store_by_default(home, where)
    jobs = latest_jobs(home, where)
    here, elsewhere = _sweeps_by_store(home, store)
    if elsewhere:
        count = f"{len(elsewhere)} sweep{'s' if elsewhere[1:] else ''}"
        shown = f"{', '.join(elsewhere[:3])}{' ...' if len(elsewhere) > 3 else ''}"
        print(f"{count} of this home {'are' if elsewhere[1:] else 'is'} in another store: {shown}", file=sys.stderr)
    if store.is_own and not home.database.exists() and not jobs:
        _say_unrecorded(home, here, store.uri)
        return
    from seisweep import results as record
    from seisweep.results.tables import sweeps_frame

    is_empty = store.is_own and not home.database.exists()
    launched = with_jobs(sweeps_frame([]) if is_empty else record.sweeps(profile=where), jobs)
    _say_unrecorded(home, here - set(launched["name"]), store.uri)
    launched["state"] = [
        _state_now(home, name, state) if name in here else state
        for name, state in zip(launched["name"], launched["state"], strict=True)
    ]
    if format is Format.TABLE and not launched.empty:
        print()
        launched["started"] = launched["started"].dt.strftime("%Y-%m-%d %H:%M")
    if format is Format.TABLE:
        print_fitting(rows_of(launched), ["name", "state", "trials", "best", "started"])
    else:
        write(rows_of(launched), format)


def _show_one(name: str, format: Format, profile: str) -> None:
    from seisweep.commands.one_sweep import print_facts

    with no_collections():
        facts = _facts_of(name, Home.find(), profile_of(profile))
    if format is Format.TABLE:
        print_facts(facts)
    elif format is Format.CSV:
        write([{what: json.dumps(one) if isinstance(one, dict | list) else one for what, one in facts.items()}], format)
    else:
        write([facts], format)


def _facts_of(name: str, home: Home, profile: Profile) -> dict[str, Any]:
    """Of what is launched, else of what can be run. Raises ValueError where nothing has the name."""
    from search_spaces.named import NAMED, named_sweep
    from seisweep.commands import one_sweep

    if ":" in name:
        return one_sweep.of_name(name, named_sweep(name), [])
    from seisweep.results.loading import load_from, names_in

    store = store_of_sweep(home, name, profile)
    job = latest_jobs(home, profile).get(name)
    if home.sweep_file(name).is_file() or name in names_in(store, home):
        loaded = load_from(home, name, profile)
        return one_sweep.of_record(loaded, _state_of_one(home, loaded, job), home, job)
    if job is not None:
        return {"name": name, "what it is": job.kind, "note": job.note, "state": job.state, "job": job.id}
    if name not in NAMED:
        known = dict.fromkeys([*names_in(store, home), *home.sweep_names, *NAMED])
        raise ValueError(f"no sweep named {name}{nearest(name, known)}")
    return one_sweep.of_name(name, NAMED[name](), _launched(name, home, profile))


def _state_of_one(home: Home, loaded: SweepResults, job: Job | None) -> str:
    """As the list of all has it."""
    from seisweep.results.tables import sweeps_frame

    jobs = {loaded.name: job} if job else {}
    state = str(with_jobs(sweeps_frame([loaded.parent]), jobs)["state"].iloc[0])
    return _state_now(home, loaded.name, state) if home.sweep_file(loaded.name).is_file() else state


def _launched(kind: str, home: Home, profile: Profile) -> list[str]:
    """Sweeps of the record that are of this kind, the latest first."""
    store = store_by_default(home, profile)
    if store.is_own and not home.database.exists():
        return []
    from seisweep import results

    found = results.sweeps(profile=profile)
    return list(found["name"][found["kind"] == kind])


def _say_unrecorded(home: Home, names: set[str], store: str) -> None:
    """Folders of sweeps whose record is not where they began: half of a home was moved, or a server's was lost."""
    for name in sorted(names):
        print(
            f"{home.sweep_dir(name)} is the folder of a sweep whose record is not in {store}: copy the record there, "
            f"or write it again with `seisweep resume {name}`",
            file=sys.stderr,
        )


def _sweeps_by_store(home: Home, store: Store) -> tuple[set[str], list[str]]:
    """The home's sweeps: those recorded in this store, and those in another one. Of a description that cannot be read a
    line says so."""
    here: set[str] = set()
    elsewhere: list[str] = []
    for name in home.sweep_names:
        try:
            if kept_store(home, name).uri == store.uri:
                here.add(name)
            else:
                elsewhere.append(name)
        except ValueError as error:
            print(error, file=sys.stderr)
    return here, elsewhere


def _state_now(home: Home, name: str, recorded: str) -> str:
    """A driver that was killed has left its sweep running in MLflow; its lock and its ledger know better."""
    if recorded != "running":
        return recorded
    from seisweep.engine.launch import sweep_state

    try:
        return sweep_state(home, name)
    except ValueError as error:
        print(error, file=sys.stderr)
        return recorded
