"""Where checkpoints go: a folder, or a bucket and whatever it takes to reach it. The one place that builds the
filesystem, for the driver and for every worker; and what can be known of that place before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from seisweep.settings.deadline import within
from seisweep.settings.free_disk import check_room
from seisweep.settings.places import can_be_written
from seisweep.settings.profile import Profile
from trainables.remote import ENDPOINTS, S3, of_environment

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""Storage that Ray reaches (by pyarrow). Of these S3 is asked before work begins."""

CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Storage:
    """A place for checkpoints and how it is reached, as plain data for other processes. It holds no keys."""

    place: str
    """Absolute folder, or URI without what follows a question mark."""
    endpoint: str = ""
    """Of S3, as http://host:9000; empty: Amazon's."""
    region: str = ""

    @property
    def is_remote(self) -> bool:
        return "://" in self.place

    def below(self, folder: str) -> Storage:
        return Storage(f"{self.place.rstrip('/')}/{folder}", self.endpoint, self.region)

    def at(self, place: str, *, quick: bool = False) -> tuple[Any, str]:
        """The filesystem of a URI, also of another storage, and the path in it. `quick`: where it does not answer, that
        is soon said. Raises OSError where it cannot be reached, ValueError where pyarrow has no such filesystem."""
        if place.startswith(S3):
            from trainables.s3 import PATIENT, QUICK, reached

            return reached(place, self.endpoint, self.region, QUICK if quick else PATIENT)
        from pyarrow.fs import FileSystem, LocalFileSystem

        return FileSystem.from_uri(place) if "://" in place else (LocalFileSystem(), place)

    def for_ray(self, folder: str = "") -> dict[str, Any]:
        """Arguments of a `RunConfig` that keeps everything here. Ray looks after folders by itself."""
        here = self.below(folder) if folder else self
        if not self.place.startswith(S3):
            return {"storage_path": here.place}
        filesystem, path = here.at(here.place)
        return {"storage_path": path, "storage_filesystem": filesystem}

    def why(self, error: BaseException) -> str:
        """What an error of this storage says to a user."""
        from trainables.s3 import reason

        return reason(error, self.place.removeprefix(S3).partition("/")[0], self.endpoint)


def storage_of(profile: Profile) -> Storage:
    """The storage that a profile names; of one that names none the place is empty, and how S3 is reached holds for the
    places of older sessions. Raises ValueError in one line that names the field."""
    text = profile.storage_path or ""
    endpoint = (profile.storage_endpoint or of_environment(ENDPOINTS)).rstrip("/")
    region, place = "", text
    if text.startswith(S3):
        _check_address(endpoint, f"profile {profile.name}: storage_endpoint or {ENDPOINTS[1]}")
        place, given = _without_query(text, profile.name)
        in_uri = given.get("endpoint_override", endpoint)
        if profile.storage_endpoint and in_uri != endpoint:
            raise ValueError(f"profile {profile.name}: storage_endpoint is {endpoint}, storage_path has {in_uri}")
        endpoint, region = in_uri, given.get("region", "")
    elif text.startswith("file://"):
        place = text.removeprefix("file://")
    if place and "://" not in place:
        place = str(Path(place).expanduser().absolute())
    return Storage(place.rstrip("/") or place, endpoint, region)


def download(filesystem: Any, path: str, folder: Path) -> Path:
    """A folder of a filesystem as a folder of this machine. Raises OSError, FileNotFoundError where it is gone.

    Ray's own way leaves a lock file in the machine's folder for temporary files each time.
    """
    from pyarrow.fs import FileType, copy_files

    if filesystem.get_file_info(path).type == FileType.NotFound:
        raise FileNotFoundError(f"{path} is not there")
    folder.mkdir(parents=True, exist_ok=True)
    copy_files(path, str(folder), source_filesystem=filesystem, chunk_size=CHUNK_BYTES)
    return folder


def check_storage(profile: Profile) -> None:
    """`storage_path` can be written, read and has room, or is a URI that Ray can read. Of a folder nothing is created;
    in S3 a small file is written, read and removed, within 20 s.

    Raises ValueError in one line.
    """
    if not profile.storage_path:
        return
    storage = storage_of(profile)
    scheme, is_uri, rest = profile.storage_path.partition("://")
    said = f"storage_path = {profile.storage_path} of profile {profile.name}"
    if is_uri and scheme not in SCHEMES:
        raise ValueError(f"{said}: {scheme}:// is not supported; give a folder or {'://, '.join(SCHEMES[:5])}://")
    if is_uri and not rest.strip("/"):
        raise ValueError(f"{said}: names no place; give {scheme}://bucket/folder")
    if scheme == "s3" and is_uri:
        _ask(storage, said)
    elif not storage.is_remote:
        _check_folder(Path(storage.place), said)


def _ask(storage: Storage, said: str) -> None:
    from seisweep.settings.probe import MOST_S, try_out

    try:
        within(MOST_S, lambda: try_out(*storage.at(storage.place, quick=True)))
    except (OSError, ValueError) as error:
        where = "" if storage.endpoint else " (another server: storage_endpoint of the profile, or AWS_ENDPOINT_URL)"
        raise ValueError(f"{said}: {storage.why(error)}{where}") from None


def _check_folder(folder: Path, said: str) -> None:
    existing = folder
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir() or not can_be_written(existing):
        why = "cannot be written" if existing.is_dir() else "is not a folder"
        raise ValueError(f"{said}: {existing} {why}; give another folder")
    check_room(folder, "storage", "free some, or choose another disk")


def _check_address(text: str, field: str) -> None:
    url = urlsplit(text)
    if text and (url.scheme not in ("http", "https") or not url.netloc or url.path.strip("/") or "@" in url.netloc):
        raise ValueError(f"{field} = {text} is not an address of a server: give http://HOST:PORT or https://HOST")


def _without_query(text: str, profile: str) -> tuple[str, dict[str, str]]:
    """An S3 URI as Ray and the ledger have it, and what its query says of how it is reached. Raises ValueError."""
    url = urlsplit(text)
    if "@" in url.netloc:  # and is not repeated here
        raise ValueError(
            f"profile {profile}: storage_path holds keys, which would be written down: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment of every node instead"
        )
    given = dict(parse_qsl(url.query))
    if unknown := given.keys() - {"endpoint_override", "scheme", "region"}:
        raise ValueError(
            f"profile {profile}: storage_path has {min(unknown)}= behind its question mark; read are "
            "endpoint_override, scheme and region (better: the field storage_endpoint)"
        )
    if address := given.get("endpoint_override"):
        address = address if "://" in address else f"{given.get('scheme', 'https')}://{address}"
        given["endpoint_override"] = address.rstrip("/")
        _check_address(address, f"profile {profile}: endpoint_override in storage_path")
    return f"{S3}{url.netloc}{url.path}", given
