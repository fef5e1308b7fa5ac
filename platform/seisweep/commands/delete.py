"""`seisweep delete`: a sweep goes, with all that MLflow has of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from seisweep.commands.options import ProfileName
from seisweep.launching.sending import job_server
from seisweep.screen.asking import ask, can_ask
from seisweep.screen.terminal import wrapped
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.settings.profile import Profile
from seisweep.settings.sent import sent_with
from seisweep.settings.which_profile import profile_of

if TYPE_CHECKING:
    from seisweep.archive.leaving import Leaving


def delete(
    name: Annotated[str, typer.Argument(help="A sweep that is not running (see `seisweep sweeps`).")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    profile: ProfileName = "local",
) -> int:
    """Delete a sweep for good: its folder, its runs in MLflow and their files. Shows what will be deleted, and asks.

    A sweep that is running or has been promoted is not deleted.
    """
    home, where = Home.find(), profile_of(profile)
    from seisweep.archive import deleting, leaving

    try:
        if deleting.finish(name, home):
            _say(f"{name}: the rest of it is deleted")
            return 0
    except deleting.NotAllError as error:
        return _not_all(name, str(error))
    _check_that_no_job_runs(name, home, where)
    found = leaving.look(name, home, where)
    if not yes:
        if not can_ask():
            raise ValueError(
                f"delete asks before it deletes, and there is no terminal to ask in: `seisweep delete {name} --yes`"
            )
        for line in _what_goes(found):
            _say(line)
        if ask(f"delete {name}{' for good' if found.is_for_good else ''}? [y/N]").lower() not in ("y", "yes"):
            _say("nothing is deleted")
            return 1
    files = _files(found)
    try:
        gone = deleting.delete(name, home, where)
    except KeyboardInterrupt:
        return _not_all(name, "interrupted")
    except deleting.NotAllError as error:
        return _not_all(name, str(error))
    _say(f"{name} is deleted: {', '.join([*_in_mlflow(gone), files])}")
    for words in gone.stays if yes else ():  # else it was said before the question
        _say(f"what stays: {words}")
    return 0


def _not_all(name: str, why: str) -> int:
    _say(f"{why}: `seisweep delete {name}` deletes the rest")
    return 1


def _check_that_no_job_runs(name: str, home: Home, profile: Profile) -> None:
    """On the cluster that it was sent to. Raises ValueError, also where that does not answer."""
    cluster = sent_with(home, name) or (profile if profile.submit_to else None)
    if cluster is None:
        return
    try:
        job = job_server(cluster).latest(name)
    except ValueError as error:
        kept = home.jobs_dir / f"{name}.json"
        raise ValueError(
            f"{error}; whether {name} still runs there is not known (if that cluster is gone for good, remove {kept})"
        ) from None
    if job and not job.is_over:
        raise ValueError(f"{name} is {job.state} as a job of a cluster: `seisweep stop {name}` ends it")


def _what_goes(found: Leaving) -> Iterator[str]:
    yield f"{found.name}{f', {found.state}' if found.state else ''}; this will be deleted:"
    if found.folder is not None:
        yield f"  its folder {from_here(found.folder)}"
    if in_mlflow := _in_mlflow(found):
        into = "" if found.is_for_good else ", into the bin of that server, and their files with `mlflow gc` there"
        yield f"  of {found.store.uri} {', '.join(in_mlflow)}{into}"
    yield f"  on this machine {_files(found)}"
    if found.storage is not None:
        yield f"  its checkpoints in {found.storage.place}"
    for words in found.stays:
        yield f"what stays: {words}"


def _files(found: Leaving) -> str:
    count, size_bytes = found.size
    return f"{count} files, {size_bytes / 1e6:.1f} MB"


def _in_mlflow(found: Leaving) -> list[str]:
    names = [name for name in found.experiments.values() if name]
    counted = [(len(found.runs), "run"), (len(found.models), "model")]
    words = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counted if count]
    return [*words, *(f"the experiment {name}, which is empty then" for name in names)]


def _say(line: str) -> None:
    print(wrapped(line, sys.stderr), file=sys.stderr, flush=True)
