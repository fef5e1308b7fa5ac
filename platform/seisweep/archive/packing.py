"""A sweep into an archive: its folder, its runs and their files out of whichever store it is recorded in."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from search_spaces.sweep import Choice, Sweep
from seisweep.archive.contents import data_folders, described, folder_of, recorded
from seisweep.archive.format import BROUGHT, FILES, MANIFEST, RUNS, SWEEP, Manifest
from seisweep.engine.sweep_folder import CHECKPOINTS, Launch
from seisweep.record import tags
from seisweep.results.files import missing
from seisweep.results.runs import Run
from seisweep.settings.driver_lock import DRIVER_FILE, LOCK_FILE
from seisweep.settings.home import SWEEP_FILE, Home
from seisweep.settings.paths import WEIGHTS, files_named, texts_in
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import OWN, store_of_sweep
from trainables.atomic import whole_file

SAY_EVERY_S = 5.0
LEFT_OUT = (LOCK_FILE, DRIVER_FILE, "fetched", SWEEP_FILE)
"""Of a sweep's folder: what belongs to a running driver, and the description, which is written anew."""

Say = Callable[[str], None]


class Member(NamedTuple):
    """A file of the archive and where it is."""

    name: str
    file: Path


def pack(name: str, file: Path, home: Home, profile: Profile, say: Say) -> Manifest:
    """Write a sweep of the home as one file, which appears whole or not at all.

    Raises ValueError in one line: there is no such sweep, it is running (what its files say then would not belong
    together), or the file is there already.
    """
    if not home.sweep_file(name).is_file():
        raise ValueError(f"no sweep named {name} in {home.root}: what is packed is its folder and its record")
    if file.exists():
        raise ValueError(f"{file} exists already: choose another name")
    store = store_of_sweep(home, name, profile)
    with (
        recorded(name, home, store) as (launch, reader, runs),
        tempfile.TemporaryDirectory(prefix="seisweep-pack-") as fetched,
    ):
        members = [*_of_folder(launch), *_of_runs(runs, store.uri, Path(fetched))]
        if gone := missing({run.data.tags.get("mlflow.runName", run.info.run_id): run for run in runs}):
            say(f"not in the archive: {gone}")
        brought = _weights(launch.sweep, launch)
        texts = {
            RUNS: json.dumps([one.model_dump() for one in described(reader, runs)]).encode(),
            f"{SWEEP}/{SWEEP_FILE}": json.dumps(_description(launch, brought, home), indent=2).encode(),
        }
        members += [member for _, found in brought.values() for member in found]
        _say_what_stays(launch, say)
        manifest = Manifest(
            sweep=name,
            id=launch.id,
            state=runs[0].data.tags.get(tags.STATE, ""),
            trials=sum(run.data.tags.get(tags.ROLE) == tags.TRIAL_ROLE for run in runs),
            files=len(members) + len(texts),
            bytes=sum(member.file.stat().st_size for member in members) + sum(map(len, texts.values())),
            packed=datetime.now(UTC).isoformat(timespec="seconds"),
            packed_by=version("seisweep"),
        )
        _write(file, manifest, texts, members, say)
    return manifest


def _of_folder(launch: Launch) -> Iterator[Member]:
    """What lies in the sweep's folder; of Ray's own there only the checkpoints."""
    for file in sorted(path for path in launch.folder.rglob("*") if path.is_file()):
        inside = file.relative_to(launch.folder)
        is_rays = inside.parts[0] == CHECKPOINTS and not any(part.startswith("checkpoint_") for part in inside.parts)
        if inside.parts[0] not in LEFT_OUT and not is_rays:
            yield Member(f"{SWEEP}/{inside.as_posix()}", file)


def _of_runs(runs: Sequence[Run], uri: str, fetched_files: Path) -> Iterator[Member]:
    for number, run in enumerate(runs):
        folder = folder_of(run, uri, fetched_files / str(number))
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield Member(f"{FILES}/{number}/{file.relative_to(folder).as_posix()}", file)


Brought = dict[str, tuple[str, list[Member]]]
"""By absolute path as a setting has it: where that is in the sweep's folder, and the files."""


def _weights(sweep: Sweep, launch: Launch) -> Brought:
    """Weights that the sweep begins from: small, and its trials need them wherever it goes on."""
    vary = {key: one.values for key, one in sweep.vary.items() if isinstance(one, Choice)}
    given = [sweep.base, sweep.baseline, vary, *(sweep.points or [])]
    brought: Brought = {}
    for path in dict.fromkeys(text for settings in given for key in WEIGHTS for text in texts_in(settings.get(key))):
        here = Path(launch.moved.here(path))
        files = files_named(here) if here.is_absolute() and not here.is_relative_to(launch.folder) else []
        if not files:
            continue
        place = f"{BROUGHT}/{len(launch.places) + len(brought)}"
        inside = [file for found in files for file in ([found] if found.is_file() else found.rglob("*"))]
        members = [
            Member(f"{SWEEP}/{place}/{file.relative_to(here.parent).as_posix()}", file)
            for file in sorted(inside)
            if file.is_file()
        ]
        brought[path] = f"{place}/{here.name}", members
    return brought


def _description(launch: Launch, brought: Brought, home: Home) -> dict[str, Any]:
    """`sweep.json` for any home: recorded in that home, and what its settings name is looked for there."""
    lain = [was for was, now in launch.moved.moves if now == str(home.root)]
    places = launch.places | {path: place for path, (place, _) in brought.items()}
    return launch.as_dict() | {"store": OWN, "lain_at": [*lain, str(home.root)], "places": places}


def _say_what_stays(launch: Launch, say: Say) -> None:
    if (elsewhere := launch.profile.storage_path) is not None:
        say(f"not in the archive: checkpoints in {elsewhere}; unfinished trials begin again in the other home")
    if folders := data_folders(launch.sweep_here):
        say(f"not in the archive: the data in {' and '.join(folders)}")


def _write(file: Path, manifest: Manifest, texts: dict[str, bytes], members: Sequence[Member], say: Say) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as arriving, tarfile.open(arriving, "w:gz", compresslevel=3) as archive:
            for name, text in {MANIFEST: manifest.model_dump_json(indent=2).encode(), **texts}.items():
                archive.addfile(_plain(tarfile.TarInfo(name), len(text)), io.BytesIO(text))
            done, said_s = 0, time.monotonic()
            for member in members:
                size = member.file.stat().st_size
                with member.file.open("rb") as content:
                    archive.addfile(_plain(tarfile.TarInfo(member.name), size), content)
                done += size
                if time.monotonic() > said_s + SAY_EVERY_S:
                    say(f"{done / 1e6:.0f} of {manifest.bytes / 1e6:.0f} MB")
                    said_s = time.monotonic()
    except OSError as error:
        raise ValueError(f"{file} cannot be written: {error.strerror or error}") from None


def _plain(member: tarfile.TarInfo, size: int) -> tarfile.TarInfo:
    """Without whose it is on this machine."""
    member.size, member.mtime, member.mode = size, int(time.time()), 0o644
    return member
