"""Files into the artifacts of a run, one by one: what has arrived stays there when the next does not."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.tracking import MlflowClient

from seisweep.record.mlflow_answers import NoAnswerError, RefusedError, ask

ROUNDS = 3
"""A page of somebody else, as of a login, takes a file and says nothing: files are looked for, and sent again."""


def upload_json(client: MlflowClient, run_id: str, data: Mapping[str, Any], name: str) -> None:
    """A file of this name. Raises NoAnswerError or RefusedError."""
    upload_text(client, run_id, json.dumps(dict(data), indent=2, default=str), name)


def upload_text(client: MlflowClient, run_id: str, content: str, name: str) -> None:
    """A file of this name. Raises NoAnswerError or RefusedError."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(content, encoding="utf-8", errors="replace")
        for _, reason in upload(client, run_id, Path(folder)):
            raise RefusedError(reason)


def upload(client: MlflowClient, run_id: str, folder: Path, into: str = "") -> list[tuple[str, str]]:
    """All files below a folder. Returns those that were refused, with the reasons. Raises NoAnswerError."""
    refused: dict[str, str] = {}
    sizes = {_name(file, folder, into): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    lacking = list(sizes)
    for _ in range(ROUNDS):
        for name in lacking:
            file = folder / PurePosixPath(name).relative_to(into)
            try:
                ask(partial(client.log_artifact, run_id, str(file), _parent(name)))
            except RefusedError as error:
                refused[name] = str(error)
        if not client.tracking_uri.startswith("http"):
            return list(refused.items())
        there = _sizes(client, run_id, {_parent(name) for name in sizes})
        arrived = {name for name, size in sizes.items() if there.get(name, -1) in (size, None)}
        lacking = [name for name in sizes if name not in refused and name not in arrived]
        if not lacking:
            return list(refused.items())
    raise NoAnswerError(f"{lacking[0]} was sent {ROUNDS} times and is not there")


def _sizes(client: MlflowClient, run_id: str, folders: set[str | None]) -> dict[str, int | None]:
    """Bytes of the files in these folders of a run; None where the store does not say."""
    listed = [info for place in folders for info in ask(partial(client.list_artifacts, run_id, place))]
    return {info.path: info.file_size for info in listed if not info.is_dir}


def _name(file: Path, folder: Path, into: str) -> str:
    return str(PurePosixPath(into) / file.relative_to(folder).as_posix())


def _parent(name: str) -> str | None:
    above = str(PurePosixPath(name).parent)
    return None if above == "." else above
