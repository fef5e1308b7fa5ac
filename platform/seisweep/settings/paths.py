"""Paths in settings: made absolute by the driver, because Ray's workers change their directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seisweep.say import say_once
from seisweep.settings.home import Home

PRETRAINED, STUDENT_WEIGHTS = "model.pretrained", "student.pretrained"
WEIGHTS = ("teacher.weights", "teachers", "second_teacher.weights", STUDENT_WEIGHTS, PRETRAINED)
"""Settings that take weights: a path, a name of SeisBench, or what the record holds (a sweep's trial, a run)."""

NAME_OR_PATH = ("data.dataset", "data.streams", *WEIGHTS)
"""Settings that take a name from somewhere, or a path."""

HUB = "hf:"
"""Begins a word for a repository of a model hub; then comes ORG/REPO, and @REVISION where it is to be a certain one."""

BEST = "best"
"""In the place of a trial's number."""

TRIAL_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(/(\d+|best))?"
"""A sweep, or a trial of it by number, or its best."""

_SUFFIXES = ("", ".json", ".pt", ".json.v1", ".pt.v1")


def texts_in(value: Any) -> Iterator[str]:
    """The texts that a setting's value is, or that its lists hold: paths and names among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def absolute(key: str, value: Any) -> Any:
    """The value with its path made absolute, where it is one.

    A path is what begins like one (`/`, `./`, `../`, `~`); for the settings in NAME_OR_PATH also what has a
    slash or exists in the current folder: `stead` is a name unless `stead` or `stead.pt.v1` lies here. Weights like
    `pretraining-1/3` are a trial of a sweep unless there is such a path.
    """
    if isinstance(value, list):
        return [absolute(key, item) for item in value]
    if not isinstance(value, str) or ":/" in value or value.startswith(HUB):  # runs:/..., s3://...
        return value
    looks = value.startswith(("/", "./", "../", "~/")) or value in (".", "..", "~")
    return str(Path(value).expanduser().resolve()) if looks or _names_a_path(key, value) else value


def _names_a_path(key: str, value: str) -> bool:
    if key not in NAME_OR_PATH:
        return False
    if key not in WEIGHTS:
        return "/" in value or existing_path(value) is not None
    may_be_trial = re.fullmatch(TRIAL_NAME, value) is not None
    return path_not_sweep(value, Home.find()) is not None or ("/" in value and not may_be_trial)


def path_not_sweep(text: str, home: Home) -> Path | None:
    """The file or folder here that `text` names, also where the home has a sweep of that name; None where there is
    none. Where `text` may be either, it is for the user to say: raises ValueError. No store is asked."""
    there = existing_path(text)
    name, _, number = text.partition("/")
    if there is None or not re.fullmatch(TRIAL_NAME, text) or not home.sweep_file(name).is_file():
        return there
    kind = "folder" if there.is_dir() else "file"
    if number:
        say_once(f"{text}: the {kind} of this name here, not the trial; in another folder it would be the trial")
        return there
    raise ValueError(
        f"{text} is a {kind} here and a sweep: write ./{text} for the one, {text}/{BEST} or {text}/NUMBER for the other"
    )


def existing_path(text: str) -> Path | None:
    """The file or folder that `text` names from the current folder, or the stem of a SeisBench pair; None where there
    is none."""
    path = Path(text).expanduser()
    # What is too long for a name exists nowhere, which pathlib does not say but raise.
    return path if any(os.path.exists(f"{path}{suffix}") for suffix in _SUFFIXES) else None  # noqa: PTH110


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
