"""Trained pickers wherever they lie: a SeisBench pair or name, an ONNX file, a folder, a trial, a registered model."""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

import numpy as np
import torch
from seisbench.models import WaveformModel

from seisweep.artifacts import hub
from seisweep.artifacts.reference import Reference, read_reference
from seisweep.artifacts.trained_with import TrainedWith, trained_with
from seisweep.record.mlflow_store import fetched
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from trainables.data.amplitudes import enlarged
from trainables.data.batches import Batch
from trainables.data.config import PHASES, WINDOW_SAMPLES
from trainables.edge.network import DEFAULT_THRESHOLD, Network, description, load_onnx, told_model
from trainables.export.artifacts import REFUSED_FILE, torch_picker
from trainables.export.onnx import begins_as_onnx
from trainables.models.architectures import load_picker
from trainables.models.seisbench_private import annotate_arguments
from trainables.models.weights import find_pair
from trainables.models.xiaonet_public import is_public


class Picker(NamedTuple):
    """A picker that reads a batch of windows."""

    name: str
    probabilities: Callable[[Batch], np.ndarray]
    """(B, C, T), P and S first."""
    precision: str
    """One of PRECISIONS."""
    stored: Mapping[str, float] = MappingProxyType({})
    """Thresholds by phase that are stored with it; empty where none is."""
    window_samples: int = WINDOW_SAMPLES
    """Length of the windows that it reads."""
    classes: str = "PSN"
    """What its rows are: PSN, PSD (D: the detection of an earthquake) or PS."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Of P and S, as `pick` takes them: those stored with it, else SeisBench's default."""
        return {phase: self.stored.get(phase, DEFAULT_THRESHOLD) for phase in PHASES}


class Found(NamedTuple):
    """What a name stands for."""

    pickers: list[Picker]
    """One for a file, several for a folder or a trial (FP32, INT8, PyTorch)."""
    trained_with: TrainedWith | None
    """What is recorded of their training; None where nothing is."""
    sources: Sequence[Source]
    """The file or name of each."""


PRECISIONS = ("int8", "fp32", "torch")
"""Which of several files of one picker, the first choice first."""

Source = Path | str
"""An ONNX file, a SeisBench pair or a state dict as a path, or a weight name of SeisBench."""


def find_pickers(model: str, home: Home, profile: Profile) -> Found:
    """Every picker behind a name. `reference.py` says what a name may be. Raises ValueError where there is none."""
    named = read_reference(model, home, profile)
    sources = _sources(named)
    return Found([_picker(source) for source in sources], trained_with(named, sources), sources)


def named_apart(found: Mapping[str, Found]) -> list[list[Picker]]:
    """The pickers of each model; of several models, whose files have the same names, with that of the model."""
    if len(found) == 1:
        return [one.pickers for one in found.values()]
    return [
        [picker._replace(name=f"{name} {picker.name}" if len(one.pickers) > 1 else name) for picker in one.pickers]
        for name, one in found.items()
    ]


def means_of(models: Sequence[Sequence[Picker]]) -> dict[str, list[Picker]]:
    """Which pickers of several models are averaged, by the name of the mean: those of each precision that all models
    have; where they have none in common, of each model what comes nearest to how it was trained."""
    if len(models) < 2:
        return {}
    accepted = [[one for one in model if REFUSED_FILE not in one.name] or model for model in models]
    kept = [{picker.precision: picker for picker in model} for model in accepted]
    wanted = list(reversed(PRECISIONS))
    shared = [precision for precision in wanted if all(precision in model for model in kept)]
    if shared:
        return {f"mean of {len(models)}, {precision}": [model[precision] for model in kept] for precision in shared}
    nearest = [next(model[precision] for precision in wanted if precision in model) for model in kept]
    return {f"mean of {len(models)}, {' and '.join(one.precision for one in nearest)}": nearest}


def find_networks(
    models: Sequence[str], home: Home, profile: Profile, precision: str | None = None, threads: int = 1
) -> list[Network]:
    """The same for continuous waveforms, one of each model: INT8 where there is an accepted file, else FP32, else
    PyTorch. Of several models the first of these that all have, else what comes nearest to how each was trained, as
    `means_of` has it. Named by the model and the file. Raises ValueError."""
    named = [read_reference(model, home, profile) for model in models]
    found = [_sources(one) for one in named]
    held = [_by_precision(sources) for sources in found]
    if precision is None and len(models) > 1:
        precision = next((wanted for wanted in PRECISIONS if all(wanted in one for one in held)), None)
        order = PRECISIONS if precision else tuple(reversed(PRECISIONS))
    else:
        order = PRECISIONS
    chosen = [_chosen(*one, precision, order) for one in zip(models, found, held, strict=True)]
    names = [_name(one, source) for one, source in zip(named, chosen, strict=True)]
    if len(set(names)) < len(names):  # files of several folders may have one name
        names = list(models)
    return [_network(source, name, threads) for source, name in zip(chosen, names, strict=True)]


def _network(source: Source, name: str, threads: int) -> Network:
    if _is_onnx(source):
        return replace(load_onnx(source, threads), name=name)
    torch.set_num_threads(threads)
    return seisbench_network(_seisbench_model(source), name)


def _name(named: Reference, source: Source) -> str:
    """As short as it can be and still tell one model from another, wherever it is said."""
    file = source.name if isinstance(source, Path) else source
    if named.kind == "trial":
        return f"{named.sweep}/{named.trial()[1]} {file}"
    return f"{named.uri} {file}" if named.kind in ("mlflow", "hub") else file


def seisbench_network(model: WaveformModel, name: str) -> Network:
    """A SeisBench picker as it picks by itself: its own normalisation, thresholds, overlap and blinding."""
    if model.filter_args is not None or model.filter_kwargs is not None:
        raise ValueError(f"{name} filters whole records before it picks them; use its own classify")
    settings = {key: default for key, (_, default) in annotate_arguments(model).items()} | model.default_args

    @torch.no_grad()
    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        answer = model(model.annotate_batch_pre(enlarged(torch.from_numpy(raw_BXT), dim=(1, 2)), settings))
        curves_BCT = torch.stack(answer, dim=1) if isinstance(answer, tuple) else answer
        return curves_BCT.cpu().numpy()

    return Network(
        name=name,
        components=model.component_order,
        classes="".join(label[0] for label in model.labels),  # Detection is D
        rate_hz=model.sampling_rate,
        window_samples=model.in_samples,
        probabilities=probabilities,
        thresholds={key[0]: float(value) for key, value in settings.items() if key in ("P_threshold", "S_threshold")},
        overlap=settings["overlap"],
        stacking=settings["stacking"],
        blinding_samples=tuple(settings["blinding"]),
    )


def _sources(named: Reference) -> Sequence[Source]:
    """Every file behind a name. Raises ValueError where it stands for nothing."""
    if named.kind == "seisbench":
        return [named.text]
    if named.kind == "path":
        assert named.path is not None
        return _in_folder(named.path) if named.path.is_dir() else [named.path]
    if named.kind == "hub":
        assert named.path is not None
        return _in_folder(hub.fetch(named.text, named.path))
    if named.kind == "mlflow":
        assert named.store is not None
        return _in_folder(_downloaded(named.uri, named.store.uri))
    loaded, number = named.trial()
    return _in_folder(loaded.artifacts(number))


def _in_folder(folder: Path) -> list[Path]:
    told_model(folder)  # where it is missing, no other file of the folder is taken for it
    pairs = sorted(file for file in folder.iterdir() if ".json" in file.suffixes and find_pair(str(file)))
    found = [*pairs, *sorted(folder.glob("*.onnx"))]
    if not found:
        raise ValueError(f"{folder}: no picker here; looked for *.onnx and for pairs NAME.json.v1, NAME.pt.v1")
    return found


def _by_precision(sources: Sequence[Source]) -> dict[str, Source]:
    by_precision: dict[str, Source] = {}
    for source in sources:
        if Path(source).name == REFUSED_FILE and len(sources) > 1:
            continue  # who wants it names the file
        by_precision.setdefault(_precision_of(source), source)
    return by_precision


def _chosen(
    model: str,
    sources: Sequence[Source],
    by_precision: Mapping[str, Source],
    precision: str | None,
    order: Sequence[str],
) -> Source:
    if precision is None:
        return next(by_precision[wanted] for wanted in order if wanted in by_precision)
    if precision not in by_precision and len(sources) > 1:
        raise ValueError(f"{model} holds no {precision} picker; it holds {', '.join(by_precision)}")
    return by_precision.get(precision, sources[0])


def _is_onnx(source: Source) -> TypeGuard[Path]:
    """By its ending; of a file with the name of a state dict by what is in it (`saved_model_int8.pth`)."""
    if not isinstance(source, Path):
        return False
    return source.suffix == ".onnx" or (is_public(source) and begins_as_onnx(source))


def _precision_of(source: Source) -> str:
    if not _is_onnx(source):
        return "torch"
    return "int8" if "int8" in source.name else "fp32"


def _picker(source: Source) -> Picker:
    return _onnx(source) if _is_onnx(source) else _seisbench(source)


def _downloaded(uri: str, tracking_uri: str) -> Path:
    from mlflow.exceptions import MlflowException

    try:
        return fetched(f"{uri}/", tracking_uri)
    except (MlflowException, OSError) as error:
        kind = "run" if uri.startswith("runs:/") else "registered model"
        raise ValueError(f"{uri}: no files of such a {kind} in {tracking_uri} ({str(error).splitlines()[0]})") from None


def _onnx(path: Path) -> Picker:
    from trainables.export.onnx import OnnxPicker

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        picker = OnnxPicker(path, threads=torch.get_num_threads())
    except Exception as error:
        raise ValueError(f"{path} is not an ONNX picker: {str(error).splitlines()[0]}") from None
    if not picker.is_picker:
        stated = picker.metadata.get("classes", "none")
        raise ValueError(
            f"{path} is not a picker, which has curves of P and S for windows of three components; "
            f"its classes: {stated}"
        )
    stored = description(path, picker.metadata)["thresholds"]
    return Picker(path.name, picker.of_batch, _precision_of(path), stored, picker.window_samples, picker.classes)


def _seisbench_model(source: Source) -> WaveformModel:
    """A pair, which says of which network it is, or a weight name."""
    model = load_picker(str(source)).network
    assert isinstance(model, WaveformModel)
    return model


def _seisbench(source: Source) -> Picker:
    adapter = load_picker(str(source))
    model, pair = adapter.network, find_pair(str(source))
    assert isinstance(model, WaveformModel)
    name = pair[0].name if pair else source.name if isinstance(source, Path) else source
    kept = {phase: model.default_args.get(f"{phase}_threshold") for phase in PHASES}
    stored = {phase: float(threshold) for phase, threshold in kept.items() if threshold is not None}
    interface = adapter.interface
    return Picker(name, torch_picker(adapter), "torch", stored, interface.window_samples, interface.classes)
