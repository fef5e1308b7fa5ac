"""Files and folders that somebody else may read appear whole or not at all: made under another name, then renamed.

What a killed process leaves has a name that begins with a dot, and nobody reads it. A file is synced before it takes
its name, so that not even a power cut leaves an empty one there.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Where to write; what is there when the block ends takes the name `file`, in the place of an older one.

    Nothing is left behind where the block or the disk raises. What is not a file, as /dev/null or a pipe, is written to
    as it is. Raises OSError.
    """
    if is_device(file):
        yield file
        return
    arriving = arriving_beside(file)
    try:
        yield arriving
        with arriving.open("rb") as written:
            os.fsync(written.fileno())
        arriving.replace(file)
        sync_folder(file.parent)
    finally:
        arriving.unlink(missing_ok=True)


def is_device(place: Path) -> bool:
    """Whether something is there that a rename would destroy: a device, a pipe, a socket."""
    return place.exists() and not place.is_file() and not place.is_dir()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill; when the block ends it takes the name `folder`, in the place of an older one."""
    arriving = arriving_beside(folder)
    arriving.mkdir(parents=True)
    try:
        yield arriving
        shutil.rmtree(folder, ignore_errors=True)
        arriving.rename(folder)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Names that were made in a folder survive a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def arriving_beside(place: Path) -> Path:
    """A name in the same folder that nobody uses or reads."""
    return place.with_name(f".{place.name}.{uuid.uuid4().hex}")
