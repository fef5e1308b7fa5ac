"""Paths in settings: made absolute by the driver, because Ray's workers change their directory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisweep.settings.home import Home

PRETRAINED = "model.pretrained"
WEIGHTS = ("teacher.weights", "teachers", PRETRAINED)
"""Settings that take weights: a path, a name of SeisBench, or what the record holds (a sweep's trial, a run)."""

NAME_OR_PATH = ("data.dataset", *WEIGHTS)
"""Settings that take a name from somewhere, or a path."""

BEST = "best"
"""In the place of a trial's number."""

TRIAL_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(/(\d+|best))?"
"""A sweep, or a trial of it by number, or its best."""

_SUFFIXES = ("", ".json", ".pt", ".json.v1", ".pt.v1")


def absolute(key: str, value: Any) -> Any:
    """The value with its path made absolute, where it is one.

    A path is what begins like one (`/`, `./`, `../`, `~`); for the settings in NAME_OR_PATH also what has a
    slash or exists in the current folder: `stead` is a name unless `stead` or `stead.pt.v1` lies here. Weights like
    `pretraining-1/3` are a trial of a sweep unless there is such a path.
    """
    if isinstance(value, list):
        return [absolute(key, item) for item in value]
    if not isinstance(value, str) or ":/" in value:  # runs:/..., s3://...
        return value
    looks = value.startswith(("/", "./", "../", "~/")) or value in (".", "..", "~")
    return str(Path(value).expanduser().resolve()) if looks or _names_a_path(key, value) else value


def _names_a_path(key: str, value: str) -> bool:
    if key not in NAME_OR_PATH:
        return False
    may_be_trial = key in WEIGHTS and re.fullmatch(TRIAL_NAME, value) is not None
    there = existing_path(value)
    if there is not None and may_be_trial and "/" not in value and Home.find().sweep_file(value).is_file():
        raise two_of_one_name(value, there)
    return there is not None or ("/" in value and not may_be_trial)


def two_of_one_name(text: str, there: Path) -> ValueError:
    """A file here and a sweep have one name: which is meant is for the user to say."""
    return ValueError(
        f"{text} is a {'folder' if there.is_dir() else 'file'} here and a sweep: write ./{text} for the one, "
        f"{text}/{BEST} or {text}/NUMBER for the other"
    )


def existing_path(text: str) -> Path | None:
    """The file or folder that `text` names from the current folder, or the stem of a SeisBench pair; None where there
    is none."""
    path = Path(text).expanduser()
    return path if any(Path(f"{path}{suffix}").exists() for suffix in _SUFFIXES) else None


def files_named(path: Path) -> list[Path]:
    """What weights that are named so consist of: a file, a folder, or the files of a SeisBench pair."""
    return [found for suffix in _SUFFIXES if (found := Path(f"{path}{suffix}")).exists()]


def with_absolute_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting, paths made absolute."""
    return {key: absolute(key, value) for key, value in settings.items()}


def from_here(path: Path) -> str:
    """As short as a user would type it from the current folder."""
    here = Path.cwd()
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
