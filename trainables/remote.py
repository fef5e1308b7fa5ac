"""What lies at an address as s3://, https:// or http://: which files, and their content."""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

S3, WEB = "s3://", ("https://", "http://")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables of the environment that say where S3 is."""
SILENCE = "silence"
"""In what is said of a server that has not answered in time."""

WEB_NAMES = ("metadata.csv", "waveforms.hdf5")
"""What a SeisBench data set consists of: the web has no list of a folder's files."""
OF_CHUNKS = ("metadata{}.csv", "waveforms{}.hdf5")
"""The same of one in chunks, whose names stand in its file `chunks`."""
WEB_EXTRAS = ("LICENSE", "LICENCE")
WEB_TIMEOUT_S = 30

_PAIR = re.compile(r"(?P<stem>.+?)\.(pt|json)(?P<version>\.v\w+)?$")
"""Half of a SeisBench model."""


@dataclass(frozen=True)
class Remote:
    """A file of a server."""

    name: str
    """Below the folder that it is fetched into."""
    place: str
    """Address, or path in the bucket's filesystem."""
    size_bytes: int | None
    """None where the server does not say."""
    version: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts:
            raise OSError(f"a file there has the name {self.name!r}, which is not below its folder")


class Bucket:
    """An address in S3. Its calls raise OSError, FileNotFoundError where nothing is there."""

    tries_again = True
    """By itself, where a server does not answer."""

    def __init__(self, uri: str, endpoint: str) -> None:
        self.uri, self.endpoint = uri.rstrip("/"), endpoint or of_environment(ENDPOINTS)

    def dataset(self) -> list[Remote]:
        from pyarrow.fs import FileSelector

        filesystem, path = self._reached()
        found = filesystem.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
        return _files_of([info for info in found if info.is_file], path)

    def weights(self) -> list[Remote]:
        """A folder, or the files beside each other that the name fits: both halves of a pair."""
        from pyarrow.fs import FileSelector, FileType

        filesystem, path = self._reached()
        if filesystem.get_file_info(path).type == FileType.Directory:
            return self.dataset()
        folder, _, name = path.rpartition("/")
        beside = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        fits = _names_of_weights(name).fullmatch
        return _files_of([info for info in beside if info.is_file and fits(info.base_name)], folder)

    @contextmanager
    def reading(self, place: str) -> Iterator[IO[bytes]]:
        with self._reached()[0].open_input_stream(place) as stream:
            yield stream

    def why(self, error: BaseException) -> str:
        from trainables.s3 import reason

        return reason(error, urlsplit(self.uri).netloc, self.endpoint)

    def _reached(self) -> tuple[Any, str]:
        from trainables.s3 import reached

        return reached(self.uri, self.endpoint)


class Web:
    """An address of the web. Its calls raise OSError, FileNotFoundError where nothing is there."""

    tries_again = False

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")

    def dataset(self) -> list[Remote]:
        folder, names = f"{self.uri}/", list(WEB_NAMES)
        if chunks := _on_the_web(folder, "chunks"):
            with self.reading(chunks.place) as source:
                names = [name.format(chunk) for chunk in source.read().decode().split() for name in OF_CHUNKS]
        found = {name: _on_the_web(folder, name) for name in [*names, *WEB_EXTRAS]}
        if lacking := next((name for name in names if found[name] is None), None):
            raise FileNotFoundError(f"there is no {lacking}")
        return [one for one in (chunks, *found.values()) if one is not None]

    def weights(self) -> list[Remote]:
        folder, _, name = self.uri.rpartition("/")
        half = _PAIR.match(name)
        stem, version = (half["stem"], half["version"] or "") if half else (name, ".v1")
        names = dict.fromkeys([f"{stem}.json{version}", f"{stem}.pt{version}", name])
        found = [one for one in (_on_the_web(f"{folder}/", name) for name in names) if one is not None]
        if not found:
            raise FileNotFoundError("no such file there")
        return found

    @contextmanager
    def reading(self, place: str) -> Iterator[IO[bytes]]:
        try:
            with urllib.request.urlopen(place, timeout=WEB_TIMEOUT_S) as answer:
                yield answer
        except http.client.HTTPException as error:  # in the middle of an answer
            raise OSError(f"{type(error).__name__}: {error}") from error

    def why(self, error: BaseException) -> str:
        return first_line(error)


def of_environment(names: Sequence[str]) -> str:
    """The first of these variables that says something."""
    return next(filter(None, map(os.environ.get, names)), "")


def server_of(uri: str, endpoint: str) -> Bucket | Web:
    return Bucket(uri, endpoint) if uri.startswith(S3) else Web(uri)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(getattr(error, "reason", None) or error).split())[:200] or type(error).__name__


def _files_of(found: Sequence[Any], folder: str) -> list[Remote]:
    if not found:
        raise FileNotFoundError("no such file or folder there")
    return [
        Remote(info.path.removeprefix(f"{folder}/"), info.path, info.size, str(info.mtime_ns))
        for info in sorted(found, key=lambda info: info.path)
    ]


def _names_of_weights(name: str) -> re.Pattern[str]:
    """Files that belong to weights of this name: the file itself, the other half of its pair, or both of its halves."""
    half = _PAIR.match(name)
    stem, version = (half["stem"], re.escape(half["version"] or "")) if half else (name, r"(\.v\w+)?")
    return re.compile(rf"{re.escape(name)}|{re.escape(stem)}\.(pt|json){version}")


def _on_the_web(folder: str, name: str) -> Remote | None:
    """A file of this name; None where the server says that there is none. Raises OSError."""
    place = urljoin(folder, name)
    try:
        with urllib.request.urlopen(urllib.request.Request(place, method="HEAD"), timeout=WEB_TIMEOUT_S) as answer:
            said = answer.headers
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            return None
        raise
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    size = said.get("Content-Length")
    return Remote(name, place, int(size) if size else None, said.get("ETag") or said.get("Last-Modified") or "")
