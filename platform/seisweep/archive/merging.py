"""An archive into a home: its runs become runs of the home's store, its folder a sweep of the home.

The same sweep is recognised by its id and its trials by their numbers, values keep their steps and times, so that the
sweep is read and resumed here as where it came from. What makes it one of the home's comes last: the run of the sweep
takes its role, then the folder its name. Until then nothing shows it, and whatever ends a merge in between, a second
one begins anew.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from search_spaces.sweep import Sweep
from seisweep.archive.contents import data_folders
from seisweep.archive.format import FILES, SWEEP, Manifest, RunData, extract, opened, read_runs
from seisweep.archive.recording import Recording, Say
from seisweep.engine.sweep_folder import CHECKPOINTS, LOGS, Launch
from seisweep.record import tags
from seisweep.record.mlflow_store import search_runs
from seisweep.results.files import folder_here
from seisweep.settings.free_disk import MIN_FREE_BYTES, free_bytes
from seisweep.settings.home import SWEEP_FILE, Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import OWN, Store, own_store, read_description, ready_to_write

SAY_EVERY_S = 5.0


def merge(file: Path, home: Home, say: Say, name: str | None = None) -> Manifest:
    """Take a sweep into a home, under its own name or another one. Raises ValueError in one line where the home has it
    or another one of that name, and where the file is not a whole archive; then the home has nothing of it."""
    with opened(file) as (manifest, archive):
        called = name or manifest.sweep
        _check_that_it_is_new(manifest, called, home)
        _check_room(manifest, home)
        store = ready_to_write(own_store(home), home)
        arriving = home.root / f".merging-{uuid.uuid4().hex}"
        try:
            with FileLock(home.root / "merge.lock"):
                _check_that_it_is_new(manifest, called, home)
                arriving.mkdir()
                for done in said(say, extract(archive, manifest, arriving), manifest):
                    assert done <= manifest.bytes
                sweep = described_in(arriving / SWEEP, manifest, name=called)
                _record(store, manifest, called, sweep, read_archive(arriving, manifest), arriving / FILES, say)
                (arriving / SWEEP).rename(home.sweep_dir(called))
                _say_what_lacks(Launch.read(home, called), say)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return manifest


def _check_that_it_is_new(manifest: Manifest, name: str, home: Home) -> None:
    if same := next((known for known in home.sweep_names if _id_of(home, known) == manifest.id), None):
        raise ValueError(f"home {home.root} has this sweep already: {same}")
    if home.sweep_file(name).is_file():
        raise ValueError(
            f"home {home.root} has another sweep already: {name}; --name NEW adds this one under another name"
        )
    if home.sweep_dir(name).exists():
        raise ValueError(f"{home.sweep_dir(name)} is in the way: it is not a sweep")


def _id_of(home: Home, name: str) -> str | None:
    """Of a sweep of the home; None where its description cannot be read, which is not for this one to say."""
    with suppress(ValueError):
        return read_description(home, name).get("id")
    return None


def _check_room(manifest: Manifest, home: Home) -> None:
    home.check()
    if (free := free_bytes(home.root)) < 2 * manifest.bytes + MIN_FREE_BYTES:
        raise ValueError(
            f"home {home.root}: {free / 2**20:.0f} MB free, {manifest.sweep} needs {2 * manifest.bytes / 2**20:.0f} MB "
            f"and {MIN_FREE_BYTES / 2**20:.0f} MB are left free"
        )


def said(say: Say, steps: Iterator[int], manifest: Manifest) -> Iterator[int]:
    """How far it is, where it takes long."""
    said_s = time.monotonic()
    for done in steps:
        yield done
        if time.monotonic() > said_s + SAY_EVERY_S:
            say(f"{done / 1e6:.0f} of {manifest.bytes / 1e6:.0f} MB")
            said_s = time.monotonic()


def described_in(folder: Path, manifest: Manifest, name: str) -> Sweep:
    """The sweep whose folder it is, which from now on is called `name` and recorded in its home. Raises TarError where
    it is not the folder of that sweep."""
    file = folder / SWEEP_FILE
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        sweep = Sweep.model_validate(said["sweep"])
        Profile.model_validate(said["profile"])
        if (said["name"], said["id"]) != (manifest.sweep, manifest.id):
            raise ValueError(f"it is of {said['name']}, the archive of {manifest.sweep}")
        for place in said.get("places", {}).values():
            if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
                raise ValueError(f"{place} is not a place in its folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise tarfile.TarError(f"{SWEEP}/{SWEEP_FILE}: {' '.join(str(error).split())[:200]}") from None
    file.write_text(json.dumps(said | {"store": OWN, "name": name}, indent=2))
    for part in (CHECKPOINTS, LOGS):
        (folder / part).mkdir(exist_ok=True)
    return sweep


def read_archive(folder: Path, manifest: Manifest) -> list[RunData]:
    """The runs of an archive that lies in a folder. Raises TarError where they are not those of the sweep."""
    runs = read_runs(folder)
    if not runs or runs[0].tags.get(tags.ROLE) != tags.SWEEP_ROLE or runs[0].tags.get(tags.SWEEP_ID) != manifest.id:
        raise tarfile.TarError("its first run is not that of the sweep")
    return runs


def _record(
    store: Store, manifest: Manifest, name: str, sweep: Sweep, runs: list[RunData], files: Path, say: Say
) -> None:
    """The runs of an archive as runs of the home's store. Raises ValueError where it has another sweep of this name, or
    does not answer; then it has none of them."""
    recording = Recording(store, sweep, manifest.id, name, runs, lambda place: files / str(place), say)
    named = f"tags.{tags.SWEEP} = '{name}' and tags.{tags.ROLE} = '{tags.SWEEP_ROLE}'"
    if any(run.data.tags.get(tags.SWEEP_ID) != manifest.id for run in search_runs(recording.client, named)):
        raise ValueError(f"the store {store.uri} has another sweep named {name}")
    known = recording.known()
    if any(run.data.tags.get(tags.ROLE) == tags.SWEEP_ROLE for run in known):
        say(f"{name} is recorded here already: only its folder is added")
        return
    for left in known:
        recording.client.delete_run(left.info.run_id)  # of a merge that was killed
    with _all_or_none(recording):
        recording.write([])


def _say_what_lacks(launch: Launch, say: Say) -> None:
    """Data that is not here: who only reads the sweep needs none."""
    lacking = [data for data in data_folders(launch.sweep_here) if not Path(data).exists()]
    if lacking:
        say(f"its data is not here: before a `seisweep resume {launch.name}` bring it to {' and '.join(lacking)}")
        say(f"if you have it elsewhere: `seisweep sweeps {launch.name}` shows how to run it again with your paths")


@contextmanager
def _all_or_none(recording: Recording) -> Iterator[None]:
    """Where that does not end well, there are none of the runs that were made."""
    try:
        yield
    except BaseException:
        for run in recording.made:
            recording.client.delete_run(run.info.run_id)
            if (folder := folder_here(run)) is not None:  # type: ignore[arg-type]  # of the same shape
                shutil.rmtree(folder.parent, ignore_errors=True)
        raise
