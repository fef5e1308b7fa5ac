"""What an archive of a sweep is, and how one that comes from anywhere is read.

A gzipped tar file of plain files: `manifest.json` first, then `runs.json` (what MLflow knows of each run),
`sweep/` (the sweep's folder: description, ledger, Optuna's journal, checkpoints, logs) and `files/NUMBER/` (the files
of each run). Nothing in it is executed, nothing is written outside the folder that it is taken into.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, ValidationError

from search_spaces.sweep import NAME_PATTERN
from trainables.config import Config

MANIFEST, RUNS, SWEEP, FILES = "manifest.json", "runs.json", "sweep", "files"
BROUGHT = "brought"
"""Folder of a sweep for files that its settings name by absolute paths."""
LARGEST_MANIFEST_BYTES = 1_000_000


class Manifest(Config):
    """What an archive says of itself."""

    format: Literal[1] = 1
    sweep: str = Field(pattern=NAME_PATTERN)
    """Name of the sweep."""
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Which launch, beyond doubt."""
    state: str
    """Of the sweep when it was packed."""
    trials: int = Field(ge=0)
    files: int = Field(ge=0)
    bytes: int = Field(ge=0)
    """Of all files together."""
    packed: str
    """When, in UTC."""
    packed_by: str
    """Version of seisweep."""


class RunData(Config):
    """A run of MLflow's as it is packed; times in ms since 1970."""

    run_id: str
    """It had there."""
    status: str
    start_time_ms: int
    end_time_ms: int | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[tuple[str, int, int, float]]
    """Name, step, time, value."""


@contextmanager
def opened(file: Path) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """An archive and what it says of itself. Raises ValueError in one line, also for what goes wrong while it is open
    and has to do with the file."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            yield _manifest(archive), archive
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is damaged, or not the archive of a sweep: {_first_line(error)}") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename != str(file):
            raise
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def extract(archive: tarfile.TarFile, manifest: Manifest, folder: Path) -> Iterator[int]:
    """Write everything behind the manifest into a folder; yields the bytes written so far, file by file.

    Raises ValueError where there is anything but plain files in their places, or more than the manifest says.
    """
    num_files = num_bytes = 0
    for member in _behind(archive):
        parts = PurePosixPath(member.name).parts
        if not (member.isreg() or member.isdir()) or not parts or parts[0] not in (RUNS, SWEEP, FILES):
            raise tarfile.TarError(f"it holds {member.name!r}, which is not part of a sweep")
        num_files, num_bytes = num_files + member.isreg(), num_bytes + member.size
        if num_files > manifest.files or num_bytes > manifest.bytes:
            raise tarfile.TarError("it holds more files than its manifest says")
        archive.extract(member, folder, filter="data")
        yield num_bytes
    if (num_files, num_bytes) != (manifest.files, manifest.bytes):
        raise tarfile.TarError("it ends early")


def read_runs(folder: Path) -> list[RunData]:
    """The runs of an archive that lies in a folder. Raises TarError."""
    try:
        return [RunData.model_validate(one) for one in json.loads((folder / RUNS).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise tarfile.TarError(f"{RUNS}: {_first_line(error)}") from None


def _behind(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What comes after the manifest."""
    members = iter(archive)
    next(members)
    return members


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    is_one = first is not None and first.name == MANIFEST and first.isreg() and first.size < LARGEST_MANIFEST_BYTES
    content = archive.extractfile(first) if first is not None and is_one else None
    if content is None:
        raise tarfile.TarError(f"it does not begin with {MANIFEST}")
    try:
        said: Any = json.loads(content.read())
        if isinstance(said, dict) and said.get("format", 0) != 1:
            raise tarfile.TarError(
                f"its format is {said.get('format')}, and this seisweep reads 1: use a newer seisweep"
            )
        return Manifest.model_validate(said)
    except (ValidationError, ValueError) as error:
        raise tarfile.TarError(f"{MANIFEST}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
