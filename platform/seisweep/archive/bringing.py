"""A sweep to a tracking server (or any other store), out of its home or out of an archive, exactly once.

The sweep in the home stays where it is recorded: compute nodes without a network go on with it, and the next merge
brings what has come since. What a store has of a sweep is recognised by the sweep's id (`recording.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException

from search_spaces.sweep import Sweep
from seisweep.archive.contents import FilesOf, described, folder_of, kept_files, lacking, recorded
from seisweep.archive.format import FILES, SWEEP, RunData, extract, opened
from seisweep.archive.merging import described_in, read_archive, said
from seisweep.archive.recording import Recording, Say
from seisweep.record import tags
from seisweep.results.open_store import open_store
from seisweep.results.runs import Run
from seisweep.settings.free_disk import MIN_FREE_BYTES, free_bytes
from seisweep.settings.home import Home, NameTakenError
from seisweep.settings.which_store import Store, kept_store


@dataclass(frozen=True)
class Brought:
    """What came of it."""

    name: str
    """Of the sweep there."""
    trials: int
    state: str
    num_written: int
    """Runs that the store did not have, or not whole; 0 where it had the sweep already."""


@dataclass(frozen=True)
class _Source:
    """A sweep with all that is recorded of it."""

    id: str
    name: str
    sweep: Sweep
    runs: list[RunData]
    files: FilesOf
    lacks: str
    """What of it is not there, in words."""


def bring_sweep(name: str, home: Home, store: Store, say: Say, new_name: str | None = None) -> Brought:
    """Record a sweep of the home in another store. Raises ValueError in one line: it runs, some of its files are
    missing, or the store has another sweep of its name; then nothing is recorded."""
    if kept_store(home, name).uri == store.uri:
        raise ValueError(f"{name} is recorded in {store.uri}: there is nothing to copy")
    with _of_home(name, home) as source:
        return _brought(source, store, say, new_name)


def bring_archive(file: Path, store: Store, say: Say, new_name: str | None = None) -> Brought:
    """The same of a sweep that `seisweep pack` has written; no home is needed. Raises ValueError."""
    with _of_archive(file, say) as source:
        return _brought(source, store, say, new_name)


def _brought(source: _Source, store: Store, say: Say, new_name: str | None) -> Brought:
    if source.lacks:
        raise ValueError(f"{source.name} is not complete, and nothing was recorded: missing {source.lacks}")
    open_store(store.uri)  # or a ValueError, within seconds
    recording = Recording(store, source.sweep, source.id, source.name, source.runs, source.files, say)
    known = recording.known()
    there = next((run for run in known if run.data.tags.get(tags.ROLE) in tags.PARENT_ROLES), None)
    name_there = there.data.tags[tags.SWEEP] if there else None
    if name_there and new_name and new_name != name_there:
        raise ValueError(
            f"{store.uri} has this sweep already, as {name_there}: --name {new_name} would record it twice"
        )
    recording.name = name_there or new_name or source.name
    try:
        recording.write(known)
    except NameTakenError:
        raise ValueError(
            f"{store.uri} has another sweep named {recording.name}: --name NEW records this one under another name"
        ) from None
    trials = sum(run.tags.get(tags.ROLE) == tags.TRIAL_ROLE for run in source.runs)
    return Brought(recording.name, trials, source.runs[0].tags.get(tags.STATE, ""), recording.num_written)


@contextmanager
def _of_home(name: str, home: Home) -> Iterator[_Source]:
    store = kept_store(home, name)
    with (
        recorded(name, home, store) as (launch, reader, runs),
        tempfile.TemporaryDirectory(prefix="seisweep-merge-") as fetched,
    ):
        folders = _folders(runs, store.uri, Path(fetched))
        data = list(described(reader, runs))
        lacks = lacking(data, folders.__getitem__, kept_files(launch.folder, launch.place))
        yield _Source(launch.id, name, launch.sweep, data, folders.__getitem__, lacks)


def _folders(runs: Sequence[Run], uri: str, place: Path) -> list[Path]:
    """With the files of the runs. Raises ValueError where a server does not give them."""
    try:
        return [folder_of(run, uri, place / str(number)) for number, run in enumerate(runs)]
    except (MlflowException, OSError) as error:
        raise ValueError(f"its files cannot be fetched from {uri}: {str(error).partition(chr(10))[0]}") from None


@contextmanager
def _of_archive(file: Path, say: Say) -> Iterator[_Source]:
    with opened(file) as (manifest, archive), tempfile.TemporaryDirectory(prefix="seisweep-merge-") as place:
        folder = Path(place)
        if (free := free_bytes(folder)) < manifest.bytes + MIN_FREE_BYTES:
            raise ValueError(
                f"{folder.parent}: {free / 2**20:.0f} MB free, {file} unpacks to {manifest.bytes / 2**20:.0f} MB"
            )
        for done in said(say, extract(archive, manifest, folder), manifest):
            assert done <= manifest.bytes
        sweep = described_in(folder / SWEEP, manifest, manifest.sweep)
        runs = read_archive(folder, manifest)

        def files(number: int) -> Path:
            return folder / FILES / str(number)

        def checkpoint(kept: str) -> str:
            return str(folder / SWEEP / kept)  # of an older ledger, which has absolute ones: nothing, but as it was

        kept = kept_files(folder / SWEEP, checkpoint)
        yield _Source(manifest.id, manifest.sweep, sweep, runs, files, lacking(runs, files, kept))
