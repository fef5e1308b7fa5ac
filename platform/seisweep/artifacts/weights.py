"""Weights out of the record or a hub: settings may name a run, a model, a trial or a repository in the place of a file.

The driver copies the files into the home before a sweep starts, under a name that their content decides: a resumed
sweep finds them, whatever has become of the run or of the model's alias since.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_spaces.sweep import Choice, Sweep
from seisweep.record import tags
from seisweep.record.mlflow_store import fetched
from seisweep.settings.home import Home
from seisweep.settings.paths import HUB, PRETRAINED, WEIGHTS
from seisweep.settings.profile import Profile
from trainables.fetched import is_elsewhere

FOLDER = "weights"
"""Of the home's cache."""

PICKERS = ("distillation", "picking")
"""Trainables whose `model.pretrained` may be a SeisBench weight name."""


def with_local_weights(sweep: Sweep, profile: Profile, home: Home) -> tuple[Sweep, dict[str, str]]:
    """The sweep with files in the place of recorded weights, and a tag that says where they come from.

    Raises ValueError in one line where something recorded is named and its files are not there.
    """
    origins: dict[str, str] = {}

    def local(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [local(key, item) for item in value]
        if key not in WEIGHTS or not isinstance(value, str):
            return value
        if value.startswith(HUB):
            origins[value] = value
            return str(_from_hub(key, value, home))
        if (recorded := _recorded(key, value, sweep.trainable, profile, home)) is None:
            return value
        uri, store = recorded
        origins[value] = uri
        return str(_from_record(key, value, uri, store, home))

    base, baseline = (
        {key: local(key, value) for key, value in given.items()} for given in (sweep.base, sweep.baseline)
    )
    vary = {
        key: Choice(values=[local(key, value) for value in narrowing.values])
        if isinstance(narrowing, Choice)
        else narrowing
        for key, narrowing in sweep.vary.items()
    }
    points = sweep.points and [{key: local(key, value) for key, value in point.items()} for point in sweep.points]
    if not origins:
        return sweep, {}
    text = ", ".join(name if name == uri else f"{name} ({uri})" for name, uri in origins.items())
    return sweep.changed(base=base, vary=vary, points=points, baseline=baseline), {tags.WEIGHTS_FROM: text}


def _recorded(key: str, name: str, trainable: str, profile: Profile, home: Home) -> tuple[str, str] | None:
    """MLflow's address of the files that `name` stands for, and in which store; None where it is a path or a name of
    SeisBench, or for a trainable of the user's own to understand. Raises ValueError where it is nothing."""
    if Path(name).is_absolute() or is_elsewhere(name):
        return None  # what is wrong with a path its reader knows best
    from seisweep.artifacts.reference import (  # with SeisBench, which not every trainable needs
        UnknownNameError,
        read_reference,
    )

    try:
        named = read_reference(name, home, profile, pickers=key != PRETRAINED or trainable in PICKERS)
        if named.store is None:
            return None
        if named.kind == "mlflow":
            return named.uri, named.store.uri
        loaded, number = named.trial()
        return f"runs:/{loaded.run(number).info.run_id}", named.store.uri
    except ValueError as error:
        if isinstance(error, UnknownNameError) and ":" in trainable:
            return None
        raise ValueError(f"{key}={name}: {str(error).removeprefix(f'{name}: ')}") from None


def _from_hub(key: str, name: str, home: Home) -> Path:
    from seisweep.artifacts import hub  # with SeisBench, as above

    try:
        folder = hub.fetch(name, home.prepare().cache_dir / hub.FOLDER)
    except ValueError as error:
        raise ValueError(f"{key}={error}") from None
    return _kept(home, lambda arriving: shutil.copytree(folder, arriving, dirs_exist_ok=True))


def _from_record(key: str, name: str, uri: str, store: str, home: Home) -> Path:
    from mlflow.exceptions import MlflowException

    def fetch(arriving: Path) -> None:
        fetched(f"{uri}/" if re.fullmatch(r"runs:/[^/]+", uri) else uri, store, arriving)
        if not any(path.is_file() for path in arriving.rglob("*")):
            raise ValueError(f"{key}={name}: {uri} has no files in {store}; its training did not finish")

    try:
        return _kept(home, fetch)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{key}={name}: no such files in {store} ({reason})") from None


def _kept(home: Home, fetch: Callable[[Path], object]) -> Path:
    """A copy of what arrives in the home: a SeisBench pair's stem, a file, or a folder."""
    place = home.prepare().cache_dir / FOLDER
    arriving = place / f".arriving-{uuid.uuid4().hex}"
    arriving.mkdir(parents=True)
    try:
        fetch(arriving)
        files = sorted(path for path in arriving.rglob("*") if path.is_file())
        kept = place / _digest(arriving, files)
        if not kept.exists():
            arriving.rename(kept)
        return _weights_in(kept)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def _digest(folder: Path, files: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size} ".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _weights_in(folder: Path) -> Path:
    """What a trainable is told: the stem of the only SeisBench pair, the only file, or the folder."""
    pairs = sorted(folder.rglob("*.json.v*"))
    if len(pairs) == 1:
        return pairs[0].with_name(pairs[0].name.partition(".json")[0])
    files = [path for path in folder.rglob("*") if path.is_file()]
    return files[0] if len(files) == 1 else folder
