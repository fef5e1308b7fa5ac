"""Trained pickers wherever they lie: a SeisBench file pair or name, an ONNX file, a folder, a trial of a sweep."""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from seisweep.config import Profile
from seisweep.home import Home
from trainables.data.batches import Batch
from trainables.models.teacher import Teacher, load_phasenet
from trainables.models.weights import find_pair, load_weights
from trainables.models.xiaonet import XiaoNet

FIELD = "MODEL"


class Picker(NamedTuple):
    """A picker that reads a batch of windows."""

    name: str
    probabilities: Callable[[Batch], np.ndarray]
    """(B, C, T) in order P, S, noise."""


def find_pickers(model: str, home: Home, profile: Profile) -> list[Picker]:
    """Every picker behind a name: one for a file, several for a folder or a trial (FP32, INT8, PyTorch).

    `SWEEP/NUMBER` is a trial of a sweep, `SWEEP` its best one, `runs:/ID` an MLflow run. Raises ValueError where
    there is none.
    """
    if model.startswith("runs:/"):
        return _in_folder(_files_of_run(model.rstrip("/"), home.recorded_uri(profile)))
    path = Path(model).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.suffix == ".onnx":
        return [_onnx(path)]
    if find_pair(model) is not None:
        return [_seisbench(path)]
    sweep, _, number = model.partition("/")
    if home.sweep_dir(sweep).is_dir() or (number.isdigit() and not path.parent.is_dir()):
        return _of_trial(sweep, number, home.recorded_uri(profile))
    return [_phasenet(model)]  # a weight name of SeisBench, or an error that says what was looked for


def _in_folder(folder: Path) -> list[Picker]:
    pairs = sorted(file for file in folder.iterdir() if ".json" in file.suffixes and find_pair(str(file)))
    found = [*map(_seisbench, pairs), *map(_onnx, sorted(folder.glob("*.onnx")))]
    if not found:
        raise ValueError(f"{folder}: no picker here; looked for *.onnx and for pairs NAME.json.v1, NAME.pt.v1")
    return found


def _of_trial(sweep: str, number: str, tracking_uri: str) -> list[Picker]:
    from seisweep import results

    loaded = results.load(sweep, tracking_uri)
    trial = int(number) if number else loaded.best
    return _in_folder(loaded.artifacts(trial))


def _files_of_run(run: str, tracking_uri: str) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=f"{run}/", tracking_uri=tracking_uri))
    except (MlflowException, OSError) as error:
        raise ValueError(f"{run}: no files of such a run in {tracking_uri} ({str(error).splitlines()[0]})") from None


def _onnx(path: Path) -> Picker:
    from trainables.export.onnx import OnnxPicker

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        picker = OnnxPicker(path, threads=torch.get_num_threads())
    except Exception as error:
        raise ValueError(f"{path} is no ONNX picker: {str(error).splitlines()[0]}") from None
    return Picker(path.name, lambda batch: picker(batch.normalised_BXT.cpu().numpy()))


def _seisbench(path: Path) -> Picker:
    """A file pair; XiaoNet and PhaseNet are told apart by the arguments that the pair names."""
    pair = find_pair(str(path))
    assert pair is not None
    stem, version = pair
    description = stem.with_name(f"{stem.name}.json{f'.v{version}' if version else ''}")
    try:
        arguments = json.loads(description.read_text()).get("model_args", {})
    except (json.JSONDecodeError, AttributeError, UnicodeDecodeError):
        raise ValueError(f"{description}: not the description of a SeisBench model") from None
    if "base_channels" not in arguments:
        return _phasenet(str(path))
    student = load_weights(XiaoNet, str(path), FIELD)

    @torch.no_grad()
    def probabilities(batch: Batch) -> np.ndarray:
        return student(batch.normalised_BXT).cpu().numpy()

    return Picker(stem.name, probabilities)


def _phasenet(weights: str) -> Picker:
    teacher = Teacher(load_phasenet(weights, FIELD))
    pair = find_pair(weights)
    return Picker(pair[0].name if pair else weights, lambda batch: teacher(batch.raw_BXT).softmax(dim=1).cpu().numpy())
