"""The `config.json` of XiaoNet's document and its public repository, as settings of a picker's training.

Its keys stand in three groups below: those that are settings here, those that have one value here, and those that
nothing here reads, with the reason. Whatever else is in the file is said, with its count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from search_spaces.sweep import Sweep
from seisweep.launching.laid_aside import laid_aside, still_searched
from seisweep.settings.overrides import Overrides, build_config, flatten
from seisweep.settings.paths import absolute
from seisweep.text import show_settings, some
from trainables.data.config import SAMPLING_RATE_HZ, WINDOW_SAMPLES

OPTION = "--config"
PICKERS = ("distillation", "picking")
MOST_NAMED = 8

SETTINGS = {
    "training.batch_size": "training.batch_size",
    "training.learning_rate": "training.learning_rate",
    "training.epochs": "training.epochs",
    "training.patience": "training.patience",
    "training.optimization.gradient_accumulation_steps": "training.accumulation",
    "training.optimization.mixed_precision": "training.precision",
    "peak_detection.distance": "picks.distance_samples",
    "data.dataset_name": "data.dataset",
    "data.sample_fraction": "data.few_shot_fraction",
}
"""Key of the file, and ours."""

FIXED = {
    "peak_detection.sampling_rate": SAMPLING_RATE_HZ,
    "data.sampling_rate": SAMPLING_RATE_HZ,
    "data.window_len": WINDOW_SAMPLES,
    "data.samples_before": 3000,
    "data.windowlen_large": 6000,
}
"""Keys that must have this value, which is prescribed."""

USE_CUDA = "device.use_cuda"
"""False is --gpus 0; true leaves it to the profile."""

_LOADING = "windows are cut where training runs"
NOT_USED = {
    "peak_detection.height": "thresholds are chosen on dev",
    "device.device_id": "the profile chooses the GPU",
    "training.num_workers": _LOADING,
    "training.loss_weights": "the losses here weigh no classes",
    "training.min_delta": "any improvement counts",
    "training.optimization.pin_memory": _LOADING,
    "training.optimization.prefetch_factor": _LOADING,
    "training.optimization.persistent_workers": _LOADING,
    "data_filter.min_magnitude": "all records of a data set are used",
    "data_filter.max_magnitude": "all records of a data set are used",
}
"""Keys that are known and have no counterpart, with the reason."""


class Read(NamedTuple):
    """What a file says."""

    overrides: Overrides
    """What was asked for, over the file's settings."""
    settings: dict[str, Any]
    """Those of the file that were taken."""
    gpus: float | None
    """0 where the file wants no GPU."""
    words: list[str]
    """What was taken and what was not."""


def with_config(file: str, sweep: Sweep, given: Overrides) -> Read:
    """`given` for `sweep`, over the settings of a file. What the user says goes before it, and what `sweep` searches
    stays searched. Raises ValueError in one line."""
    if sweep.trainable not in PICKERS:
        raise ValueError(f"{OPTION} {file}: only for training pickers ({', '.join(PICKERS)})")
    held = dict(flatten(_held(file)))
    _check_fixed(file, held)
    said = {ours: _as_ours(file, key, held[key]) for key, ours in SETTINGS.items() if key in held}
    _check(file, sweep, said)
    searched = still_searched(sweep, given)
    taken = {key: value for key, value in said.items() if key not in {*given.base, *given.vary, *searched}}
    gpus = 0.0 if held.get(USE_CUDA) is False else None
    words = [f"{file}: {show_settings(taken) or 'nothing taken'}{', --gpus 0' if gpus == 0 else ''}"]
    words += laid_aside(said, sweep, given, searched)
    if unused := [f"{key} ({NOT_USED[key]})" for key in held if key in NOT_USED]:
        words.append(f"{len(unused)} without a counterpart here: {', '.join(unused)}")
    known = {*SETTINGS, *FIXED, *NOT_USED, USE_CUDA}
    if unknown := [key for key in held if key not in known]:
        keys = "1 unknown key, which is" if len(unknown) == 1 else f"{len(unknown)} unknown keys, which are"
        words.append(f"{keys} not used: {some(unknown, MOST_NAMED)}")
    return Read(Overrides({**taken, **given.base}, given.vary), taken, gpus, words)


def _held(file: str) -> dict[str, Any]:
    try:
        held = json.loads(Path(file).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{OPTION} {file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{OPTION} {file}: not JSON ({error})") from None
    if not isinstance(held, dict):
        raise ValueError(f'{OPTION} {file}: holds no settings, as {{"training": {{"batch_size": 64}}}}')
    return held


def _check_fixed(file: str, held: Mapping[str, Any]) -> None:
    for key, value in FIXED.items():
        if held.get(key, value) != value:
            raise ValueError(f"{OPTION} {file}: {key} = {held[key]} is not possible here: it is {value:g}")


def _as_ours(file: str, key: str, value: Any) -> Any:
    if key == "training.optimization.mixed_precision":
        if not isinstance(value, bool):
            raise ValueError(f"{OPTION} {file}: {key} = {value} is not allowed: true or false")
        return "auto" if value else "fp32"
    return absolute(SETTINGS[key], value) if isinstance(value, str) else value


def _check(file: str, sweep: Sweep, said: Mapping[str, Any]) -> None:
    """Whether the settings take these values, in the file's name."""
    from seisweep.requested.trainable import Trainable

    config_class = Trainable.find(sweep.trainable).config_class
    assert config_class is not None
    try:
        build_config(config_class, {"data.dataset": "", **said})
    except ValueError as error:
        raise ValueError(f"{OPTION} {file}: {error}") from None
