"""Sends a sweep to a cluster: the command that was typed, or what was asked in Python, as a job that is followed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from search_spaces.sweep import Choice, Sweep
from seisweep.launching import command_line
from seisweep.requested.sweep import next_name
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.sent import keep
from seisweep.settings.which_store import Store, store_by_default

if TYPE_CHECKING:
    from seisweep.engine.job import Job
    from seisweep.engine.jobs import Server


class Sent(NamedTuple):
    """A sweep that was sent, and how its job ended as far as it was followed."""

    name: str
    exit_code: int
    """That of the sweep's command there; 1 too where it goes on without us."""
    goes_on: bool = False
    """Whoever followed it has left."""


def send(sweep: Sweep, profile: Profile, home: Home, name: str | None, note: str, store: Store | None = None) -> Sent:
    """Submit the command that was typed as a job of the profile's cluster, under a name that is free, and follow it.

    Raises ValueError in one line for everything that can be known before.
    """
    from seisweep.engine.jobs import JobExistsError
    from seisweep.engine.launch import check_sweep
    from seisweep.requested.trainable import Trainable

    _check_paths(sweep)
    check_sweep(sweep, Trainable.find(sweep.trainable), profile)
    sent = _recorded_elsewhere(profile, store or store_by_default(home, profile))
    server = job_server(sent)
    taken = _names(sent, home) | {job.sweep for job in server.jobs()}
    if name in taken:
        raise ValueError(f"a sweep named {name} exists: go on with `seisweep resume {name}`, or choose another --name")
    while True:
        chosen = name or next_name(home, sweep.name, taken)
        try:
            return _submit(server, home, chosen, sweep.name, note)
        except JobExistsError:  # at the same moment, by somebody else
            if name is not None:
                raise
            taken = taken | {chosen}


def send_resume(name: str, profile: Profile, home: Home) -> Sent:
    """The same for a sweep that the cluster has."""
    sent = _recorded_elsewhere(profile, store_by_default(home, profile))
    server = job_server(sent)
    last = server.latest(name)
    if last is not None and not last.is_over:
        raise ValueError(f"{name} is {last.state} as job {last.id}: follow it with `seisweep logs {name}`")
    known = _names(sent, home)
    if known and name not in known and last is None:
        raise ValueError(f"no sweep named {name} in {sent.tracking_uri}{nearest(name, known)}")
    kind, note = (last.kind, last.note) if last else ("", "")
    return _submit(server, home, name, kind, note)


def _submit(server: Server, home: Home, name: str, kind: str, note: str) -> Sent:
    is_resume = command_line.words()[:1] == ("resume",)  # which has the name among its words
    chosen = {"profile": server.profile.name} | ({} if is_resume else {"name": name})
    job = server.submit(name, command_line.for_another_machine(**chosen), kind=kind, note=note)
    keep(home, name, server.profile)
    print(f"{name} is the job {job.id} of {server.address}", file=sys.stderr, flush=True)
    return followed(server, job, lambda line: print(line, file=sys.stderr, flush=True))


def followed(server: Server, job: Job, show: Callable[[str], None]) -> Sent:
    """Show what a job writes, until it is over or the user leaves it."""
    from seisweep.engine.job_following import follow

    try:
        over = follow(server, job, show, lambda line: print(line, file=sys.stderr, flush=True))
        return Sent(job.sweep, over.exit_code)
    except KeyboardInterrupt:
        print(
            f"{job.sweep} goes on without this terminal: `seisweep logs {job.sweep}` follows it again, "
            f"`seisweep stop {job.sweep}` ends it",
            file=sys.stderr,
        )
        return Sent(job.sweep, 1, goes_on=True)


def job_server(profile: Profile) -> Server:
    from seisweep.engine.jobs import Server

    return Server(profile)


def _recorded_elsewhere(profile: Profile, store: Store) -> Profile:
    """The profile with the store that counts on this machine, which its jobs write to. Raises ValueError where that
    is a file of this machine."""
    if store.is_own:
        if profile.tracking_uri is None:
            print(
                f"profile {profile.name} names no MLflow server in tracking_uri: the record lies in {profile.job_home} "
                "of the cluster",
                file=sys.stderr,
            )
            return profile
        raise ValueError(f"the store {store.uri} is this home's own, which jobs of a cluster cannot reach")
    if not store.uri.startswith(("http://", "https://", "postgresql", "mysql", "mssql")):
        raise ValueError(f"the store {store.uri} ({store.chosen_by}) is a file of this machine: name an MLflow server")
    return profile.model_copy(update={"tracking_uri": store.uri})


def _names(profile: Profile, home: Home) -> set[str]:
    """The sweeps that the store has. Where it is not to be reached from here, the job will look. Raises ValueError
    where it lets nobody in."""
    from seisweep.record.mlflow_answers import NotLetInError
    from seisweep.results.loading import names_in

    if profile.tracking_uri is None:
        return set()
    try:
        return set(names_in(Store(profile.tracking_uri, f"profile {profile.name}"), home))
    except NotLetInError:
        raise
    except ValueError as error:
        print(f"{error}; the job will try it from the cluster", file=sys.stderr)
        return set()


def _check_paths(sweep: Sweep) -> None:
    """No setting that was typed means a place of this machine. Raises ValueError that names the first."""
    typed = command_line.settings()
    for key, value in _texts(sweep):
        if key not in typed or not value.startswith("/"):
            continue
        if value not in typed[key]:
            raise ValueError(
                f"{key} = {typed[key]}: {value} is a place on this machine, but the job runs on another one: give a "
                "path that every node of the cluster has, a name or a URI"
            )
        if Path(value).exists():
            print(f"{key} = {value} exists here too; the job uses the one on its nodes", file=sys.stderr)


def _texts(sweep: Sweep) -> Iterator[tuple[str, str]]:
    """Every text among the settings, those in lists too."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            for item in value:
                yield from texts(item)

    varied = {key: one.values for key, one in sweep.vary.items() if isinstance(one, Choice)}
    for key, value in (dict(sweep.base) | varied).items():
        yield from ((key, text) for text in texts(value))
