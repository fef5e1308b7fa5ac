"""Data and weights that lie elsewhere: s3://, https:// or http:// in the place of a path.

Each machine fetches them once into a folder of its cache, under a lock, whole or not at all. The folder's name follows
from the address and from what the server says of each file (size, time of change, tag), so that what has changed there
is fetched again. Where the server does not answer, what was fetched last is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock

from trainables.atomic import whole_file, whole_folder
from trainables.remote import S3, WEB, Bucket, Remote, Web, first_line, server_of

BLOCK_BYTES = 8 * 2**20
SAY_EVERY_S = 10.0
ATTEMPTS, PAUSE_S = 4, 5.0
ASK_AGAIN_S = 600.0
"""So long a process takes what it has found to be what there is."""

logger = logging.getLogger("trainables.data")


class NotFetchedError(ValueError):
    """What lies elsewhere cannot be had: it is no fault of whoever wants to train with it."""


@dataclass
class _Cache:
    """Where this process keeps what it fetches, and how it reaches S3."""

    folder: Path | None = None
    endpoint: str = ""


_cache = _Cache()
_known: dict[str, tuple[float, Path]] = {}


def is_elsewhere(text: str) -> bool:
    """Whether a setting names something that has to be fetched."""
    return text.startswith((S3, *WEB))


def keep_in(folder: Path, endpoint: str = "") -> None:
    """From now on this process fetches into `folder`. `endpoint`: of S3, as http://host:9000; empty: what the
    environment says, else Amazon's."""
    if (folder, endpoint) != (_cache.folder, _cache.endpoint):
        _cache.folder, _cache.endpoint = folder, endpoint
        _known.clear()


def cache_folder() -> Path:
    """Where this machine keeps what it has fetched."""
    if _cache.folder is not None:
        return _cache.folder
    import seisbench

    return Path(seisbench.cache_root) / "fetched"


def dataset_here(uri: str, field: str = "data.dataset") -> Path:
    """Folder of this machine with the data set's files. Raises NotFetchedError in one line."""
    server = server_of(uri, _cache.endpoint)
    return _here(server, field, server.dataset)


def weights_here(uri: str, field: str = "") -> str:
    """The weights as a path of this machine: a file, the stem of a SeisBench pair, or a folder. Raises
    NotFetchedError in one line."""
    server = server_of(uri, _cache.endpoint)
    folder = _here(server, field, server.weights)
    named = folder / PurePosixPath(urlsplit(uri).path).name
    return str(named if named.is_file() or any(folder.glob(f"{named.name}.json*")) else folder)


def _here(server: Bucket | Web, field: str, listed: Callable[[], list[Remote]]) -> Path:
    asked_s, folder = _known.get(server.uri, (0.0, None))
    if folder is None or time.monotonic() - asked_s > ASK_AGAIN_S or not folder.is_dir():
        try:
            folder = _fetched(server, listed)
        except OSError as error:
            named = f"{field}={server.uri}" if field else server.uri
            raise NotFetchedError(f"{named}: cannot be fetched: {server.why(error)}") from error
        _known[server.uri] = time.monotonic(), folder
    return folder


def _fetched(server: Bucket | Web, listed: Callable[[], list[Remote]]) -> Path:
    """Raises OSError where it is not to be had."""
    cache, uri = cache_folder(), server.uri
    last = cache / f"{_digest(uri)}.json"
    try:
        files = listed()
    except OSError as error:
        folder = _of_last_time(last)
        if folder is None or isinstance(error, FileNotFoundError):
            raise
        logger.warning("%s: %s; the copy that was fetched last is used, %s", uri, server.why(error), folder)
        return folder
    name = re.sub(r"[^\w.-]+", "_", PurePosixPath(urlsplit(uri).path).name or urlsplit(uri).netloc)[:60]
    folder = cache / f"{name}-{_digest(uri, *(f'{one.name} {one.size_bytes} {one.version}' for one in files))}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{folder.name}.lock"):
            if not folder.is_dir():
                _fetch(server, files, folder)
    if _of_last_time(last) != folder:
        with whole_file(last) as arriving:
            arriving.write_text(json.dumps({"uri": uri, "folder": folder.name}))
    return folder


def _of_last_time(last: Path) -> Path | None:
    try:
        folder = last.with_name(json.loads(last.read_text())["folder"])
    except (OSError, ValueError, KeyError):
        return None
    return folder if folder.is_dir() else None


def _fetch(server: Bucket | Web, files: Sequence[Remote], folder: Path) -> None:
    """All files, or nothing. We hold the lock: what a killed process has left of this folder is removed."""
    for stale in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(stale, ignore_errors=True)
    known_bytes = sum(one.size_bytes or 0 for one in files)
    _check_room(known_bytes, folder.parent)
    progress = _Progress(server.uri, known_bytes)
    with whole_folder(folder) as arriving:
        for one in files:
            target = arriving / one.name
            target.parent.mkdir(parents=True, exist_ok=True)
            _persistently_copied(server, one, target, progress)
    progress.done()


def _persistently_copied(server: Bucket | Web, one: Remote, target: Path, progress: _Progress) -> None:
    for attempts_left in reversed(range(1 if server.tries_again else ATTEMPTS)):
        try:
            _copy(server, one, target, progress)
            break
        except OSError as error:
            if not attempts_left:
                raise
            logger.warning("%s: %s; once more", one.place, first_line(error))
            time.sleep(PAUSE_S)


def _copy(server: Bucket | Web, one: Remote, target: Path, progress: _Progress) -> None:
    copied = 0
    with server.reading(one.place) as source, target.open("wb") as file:
        while block := source.read(BLOCK_BYTES):
            file.write(block)
            copied += len(block)
            progress.add(len(block))
    if one.size_bytes is not None and copied != one.size_bytes:
        raise OSError(f"{one.place} ended after {copied} of {one.size_bytes} bytes")


class _Progress:
    """Says now and then how much has come."""

    def __init__(self, uri: str, all_bytes: int) -> None:
        self.uri, self.all_bytes, self.bytes, self.said_s = uri, all_bytes, 0, time.monotonic()
        print(f"{uri}: fetching {all_bytes / 1e6:.1f} MB to this machine", file=sys.stderr, flush=True)

    def add(self, num_bytes: int) -> None:
        self.bytes += num_bytes
        if time.monotonic() - self.said_s > SAY_EVERY_S:
            self.said_s = time.monotonic()
            logger.info("%s: %.0f of %.0f MB", self.uri, self.bytes / 1e6, self.all_bytes / 1e6)

    def done(self) -> None:
        logger.info("%s: fetched, %.0f MB", self.uri, self.bytes / 1e6)


def _check_room(wanted_bytes: int, cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if wanted_bytes > free:
        raise OSError(f"it takes {wanted_bytes / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free at {cache}")


def _digest(*words: str) -> str:
    return hashlib.blake2b("\n".join(words).encode(), digest_size=8).hexdigest()
