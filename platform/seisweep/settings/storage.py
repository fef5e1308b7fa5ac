"""Where checkpoints go, when a profile says so: what can be known of that place before any work."""

from __future__ import annotations

import os
from pathlib import Path

from seisweep.settings.free_disk import check_room
from seisweep.settings.places import can_be_written
from seisweep.settings.profile import Profile

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""Storage that Ray reaches (by pyarrow). Asking a bucket could take minutes where there is no network: nobody does."""


def check_storage(profile: Profile) -> None:
    """`storage_path` is a folder that can be written and has room, or a URI that Ray can read. Creates nothing.

    Raises ValueError in one line.
    """
    if not profile.storage_path:
        return
    scheme, is_uri, rest = profile.storage_path.partition("://")
    said = f"storage_path = {profile.storage_path} of profile {profile.name}"
    if is_uri and scheme not in SCHEMES:
        raise ValueError(f"{said}: nothing is kept at {scheme}://; give a folder or {'://, '.join(SCHEMES[:5])}://")
    if is_uri and not rest.strip("/"):
        raise ValueError(f"{said}: names no place; give {scheme}://bucket/folder")
    if is_uri and scheme != "file":
        return
    folder = existing = Path(rest if is_uri else profile.storage_path).expanduser().absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir() or not can_be_written(existing):
        why = "cannot be written" if existing.is_dir() else "is no folder"
        raise ValueError(f"{said}: {existing} {why}; give another folder")
    check_room(folder, "storage", "free some, or choose another disk")
