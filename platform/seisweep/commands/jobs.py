"""Sweeps that run elsewhere: sent to a cluster as jobs; `seisweep logs` and `seisweep stop`, wherever a sweep runs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seisweep.launching.sending import followed, job_server
from seisweep.screen.kept import SCREEN_FILE
from seisweep.settings.driver_lock import driver_of, has_driver
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.sent import sent_sweeps, sent_with
from seisweep.settings.which_profile import profile_of

if TYPE_CHECKING:
    import pandas as pd

    from seisweep.engine.job import Job
    from seisweep.engine.jobs import Server

LOOK_EVERY_S = 0.5

Cluster = Annotated[
    str | None,
    typer.Option("--profile", help="The cluster that the sweep runs on; default: the one it was sent to from here."),
]


def logs(
    name: Annotated[str, typer.Argument(help="A sweep that is running or has run (see `seisweep sweeps`).")],
    profile: Cluster = None,
) -> int:
    """Show a sweep's output and follow it to its end; Ctrl-C leaves it running. The exit code is the sweep's.

    A job on a cluster that died with its node is submitted again.
    """
    home = Home.find()
    where = _cluster_of(home, name, profile)
    if where is None:
        return _follow_here(home, name)
    server = job_server(where)
    job = server.latest(name)
    if job is None:
        raise ValueError(_no_job(server, name))
    return followed(server, job, print).exit_code


def stop(
    name: Annotated[str, typer.Argument(help="A sweep that is running (see `seisweep sweeps`).")],
    profile: Cluster = None,
) -> int:
    """Stop a sweep as Ctrl-C does, wherever it runs: nothing is lost, and `seisweep resume` goes on with it."""
    home = Home.find()
    where = _cluster_of(home, name, profile)
    stopped = _stop_here(home, name) if where is None else _stop_job(job_server(where), name)
    with_profile = f" --profile {profile}" if profile else ""
    print(
        f"{name} has ended; go on with: seisweep resume {name}{with_profile}" if stopped else f"{name} is still ending",
        file=sys.stderr,
    )
    return 0 if stopped else 1


def latest_jobs(home: Home, profile: Profile) -> dict[str, Job]:
    """The last job of each sweep: of the profile's cluster, else of the clusters that this home has sent sweeps to. A
    cluster that does not answer is named on standard error."""
    from seisweep.engine.job import DOCTOR

    mine = {name: sent_with(home, name) for name in sent_sweeps(home)}
    clusters = {one.submit_to: one for one in ([profile] if profile.submit_to else mine.values()) if one is not None}
    found: dict[str, Job] = {}
    for cluster in clusters.values():
        try:
            latest = {job.sweep: job for job in job_server(cluster).jobs() if job.kind != DOCTOR}
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        found |= {name: job for name, job in latest.items() if profile.submit_to or name in mine}
    return found


def with_jobs(launched: pd.DataFrame, jobs: Mapping[str, Job]) -> pd.DataFrame:
    """The sweeps of a store with what is known of their jobs: the state of one that runs or has died, and before them
    those that have not come to their record."""
    import pandas as pd

    recorded = dict(zip(launched["name"], launched["state"], strict=True))
    states = [
        jobs[name].state if name in jobs and (state == "running" or not jobs[name].is_over) else state
        for name, state in recorded.items()
    ]
    new = [job for name, job in jobs.items() if name not in recorded]
    columns = {
        "name": [job.sweep for job in new],
        "kind": [job.kind for job in new],
        "state": [job.state for job in new],
        "started": pd.to_datetime([job.started_ms for job in new], unit="ms", utc=True),
        "note": [job.note for job in new],
    }
    first = pd.DataFrame(columns).reindex(columns=launched.columns).astype(launched.dtypes)
    return pd.concat([first, launched.assign(state=states)], ignore_index=True)


def _stop_job(server: Server, name: str) -> bool:
    """Whether it has ended, which is waited for as long as Ray does."""
    from seisweep.engine.jobs import STOP_WAIT_S

    job = server.latest(name)
    if job is None:
        raise ValueError(_no_job(server, name))
    if job.is_over:
        raise ValueError(f"{name} does not run: it is {job.state}")
    server.stop(job)
    return _waited_for(lambda: server.look(job).is_over, STOP_WAIT_S + server.profile.tracking_deadline_s + 30)


def _stop_here(home: Home, name: str) -> bool:
    folder = home.sweep_dir(name)
    if not has_driver(folder):
        meant = "" if name in home.sweep_names else nearest(name, home.sweep_names)
        raise ValueError(f"{name} does not run in {home.root}{meant}")
    driver = driver_of(folder)
    if driver is None:
        raise ValueError(f"{name} was started by an older seisweep: press Ctrl-C where it runs")
    if driver.host != os.uname().nodename:
        how = "from where it was submitted" if driver.job else f"by `seisweep stop {name}` there"
        raise ValueError(f"{name} runs on another machine, {driver.host}: stop it {how}")
    os.kill(driver.pid, signal.SIGINT)
    from seisweep.engine.sweep_folder import Launch

    return _waited_for(lambda: not has_driver(folder), Launch.read(home, name).profile.tracking_deadline_s + 60)


def _waited_for(is_so: Callable[[], bool], at_most_s: float) -> bool:
    deadline_s = time.monotonic() + at_most_s
    while not (so := is_so()) and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
    return so


def _follow_here(home: Home, name: str) -> int:
    """Show what a sweep of this home says, until no process runs it any more."""
    folder = home.sweep_dir(name)
    if not home.sweep_file(name).is_file():
        raise ValueError(
            f"no sweep named {name} in {home.root}{nearest(name, home.sweep_names)}; if it runs on a cluster and was "
            "not sent there from here, give that cluster's --profile"
        )
    shown = folder / SCREEN_FILE if (folder / SCREEN_FILE).is_file() else folder / "sweep.log"
    for line in _growing(shown, lambda: has_driver(folder)):
        print(line, end="", flush=True)
    from seisweep.engine.launch import sweep_state

    return 0 if sweep_state(home, name) == "finished" else 1


def _growing(file: Path, grows: Callable[[], bool]) -> Iterator[str]:
    """Its lines, and those that come while it grows."""
    while not file.exists():
        if not grows():
            return
        time.sleep(LOOK_EVERY_S)
    with file.open(encoding="utf-8", errors="replace") as stream:
        while True:
            last_look = not grows()  # before reading: so that what is written last is read
            yield from stream
            if last_look:
                return
            time.sleep(LOOK_EVERY_S)


def _cluster_of(home: Home, name: str, profile: str | None) -> Profile | None:
    """Where a sweep runs as a job: as the user says, else as this home has sent it; None where it runs here."""
    if profile is not None:
        where = profile_of(profile)
        return where if where.submit_to else None
    return None if home.sweep_file(name).is_file() else sent_with(home, name)


def _no_job(server: Server, name: str) -> str:
    return f"no job of a sweep named {name} on {server.address}{nearest(name, {job.sweep for job in server.jobs()})}"
