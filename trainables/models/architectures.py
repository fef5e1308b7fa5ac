"""Which networks there are: SeisBench's by name, XiaoNet, and a user's own as `module:Class`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import AfterValidator
from seisbench.models import EQTransformer, PhaseNet, PhaseNetLight, WaveformModel
from torch import nn

from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.fetched import is_elsewhere, weights_here
from trainables.models.adapters import EQTransformerAdapter, PhaseNetAdapter, PickerAdapter, V5BAdapter, adapter_of
from trainables.models.own_network import OwnNetwork, build_own, load_own
from trainables.models.v5b import XiaoNetV5B
from trainables.models.weights import find_pair, load_weights, state_dict_file
from trainables.models.xiaonet import CLASSES, StudentConfig, XiaoNet, build_student
from trainables.models.xiaonet_public import read_public

PHASENET, PHASENETLIGHT, EQTRANSFORMER, XIAONET = "phasenet", "phasenetlight", "eqtransformer", "xiaonet"
XIAONETV5B = "xiaonetv5b"
SEISBENCH: dict[str, type[WaveformModel]] = {
    PHASENET: PhaseNet,
    PHASENETLIGHT: PhaseNetLight,
    EQTRANSFORMER: EQTransformer,
    XIAONETV5B: XiaoNetV5B,
}
ARGUMENTS = {EQTRANSFORMER: ("in_samples", "lstm_blocks", "drop_rate"), XIAONETV5B: ("base_channels", "output")}
"""What may be chosen of networks by name, as far as a file of their weights says it again."""
EQTRANSFORMER_SAMPLES = 6000

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    XIAONET: {"encoder": ("encoder",), "backbone": ("bottleneck", "decoder")},
    PHASENET: {
        "encoder": ("phasenet.inc", "phasenet.in_bn", "phasenet.down_branch"),
        "backbone": ("phasenet.up_branch",),
    },
    PHASENETLIGHT: {
        "encoder": (
            "phasenet.inc",
            "phasenet.in_bn",
            *(f"phasenet.{layer}{number}" for number in range(1, 5) for layer in ("conv", "bnd")),
        ),
        "backbone": tuple(f"phasenet.{layer}{number}" for number in range(1, 5) for layer in ("up", "bnu")),
    },
    EQTRANSFORMER: {
        "encoder": ("eqtransformer.encoder", "eqtransformer.res_cnn_stack"),
        "backbone": tuple(f"eqtransformer.{part}" for part in ("bi_lstm_stack", "transformer_d0", "transformer_d")),
    },
    XIAONETV5B: {
        "encoder": tuple(f"v5b.enc{level}" for level in range(1, 4)),
        "backbone": tuple(f"v5b.{part}" for part in ("bottleneck", "multi_scale", "dec3", "dec2", "dec1")),
    },
}
"""Submodules that a freezing schedule knows as encoder and backbone."""


def is_own(architecture: str | None) -> bool:
    """Whether it is a user's class."""
    return architecture is not None and ":" in architecture


def _known(name: str) -> str:
    if name in (*SEISBENCH, XIAONET) or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        return name
    near = difflib.get_close_matches(name.lower(), [*SEISBENCH, XIAONET], n=1)
    hint = f"did you mean {near[0]}?" if near else "your own is module:Class"
    raise ValueError(f"{name} is none of {', '.join((*SEISBENCH, XIAONET))}; {hint}")


ArchitectureName = Annotated[str, AfterValidator(_known)]
"""A network by name, or `module:Class`."""


def build(
    architecture: str,
    arguments: Mapping[str, Any],
    size: StudentConfig,
    pretrained: str | None = None,
    group: str = "model",
) -> XiaoNet | PickerAdapter:
    """The network: fresh weights from torch's global generator, or `pretrained` ones. `size` is a XiaoNet's, `group`
    the settings that name it. Raises ValueError in one line."""
    field = f"{group}.pretrained"
    if is_own(architecture):
        if pretrained:
            return load_own(architecture, pretrained, field, arguments)
        return build_own(architecture, arguments, group)
    check_arguments(architecture, arguments, group)
    if pretrained:
        if arguments:
            raise ValueError(f"{field} brings its own architecture: leave {group}.arguments out")
        if architecture == XIAONET:
            return load_weights(XiaoNet, pretrained, field)
        return adapter_of(load_seisbench(architecture, pretrained, field))
    if architecture == XIAONET:
        return build_student(size)
    if architecture == EQTRANSFORMER:
        return EQTransformerAdapter(_eqtransformer(arguments))
    if architecture == XIAONETV5B:
        return V5BAdapter(XiaoNetV5B(**arguments))
    return PhaseNetAdapter(
        SEISBENCH[architecture](
            phases=CLASSES,
            component_order=COMPONENT_ORDER,
            sampling_rate=SAMPLING_RATE_HZ,
            norm="peak",
            norm_detrend=True,
        )
    )


def check_arguments(architecture: str, arguments: Mapping[str, Any], group: str) -> None:
    """Whether a network by name takes these. Raises ValueError in one line."""
    known = ARGUMENTS.get(architecture, ())
    for name in arguments:
        if name not in known:
            what = f"it takes {', '.join(known)}" if known else "it takes none"
            size = "; its size is student.base_channels ..." if architecture == XIAONET else ""
            raise ValueError(f"{group}.arguments: {architecture} has no argument {name} here: {what}{size}")
    if not arguments:
        return
    try:
        SEISBENCH[architecture](**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ValueError(f"{group}.arguments: no {architecture} can be made with {given}: {reason[0]}") from error


def _eqtransformer(arguments: Mapping[str, Any]) -> EQTransformer:
    """With windows of another length, overlap and blinding are the same shares of it."""
    model = EQTransformer(
        phases="PS", norm="std", component_order=COMPONENT_ORDER, sampling_rate=SAMPLING_RATE_HZ, **arguments
    )
    if (num_samples := model.in_samples) != EQTRANSFORMER_SAMPLES:
        model.default_args |= {"overlap": num_samples // 2, "blinding": (num_samples // 12, num_samples // 12)}
    return model


def parts_of(architecture: str, picker: nn.Module, schedule: str) -> Mapping[str, tuple[str, ...]]:
    """Encoder and backbone for a freezing schedule. Raises ValueError where a user's network does not state them."""
    parts = picker.parts if isinstance(picker, OwnNetwork) else PARTS[architecture]
    if parts is None and schedule != "full":
        raise ValueError(
            f'freezing.schedule={schedule}: {architecture} does not state its parts = {{"encoder": [...], '
            '"backbone": [...]}, names of its submodules'
        )
    return parts or {"encoder": (), "backbone": ()}


def load_picker(weights: str, field: str = "", architecture: str | None = None) -> PickerAdapter:
    """A trained network behind its face: SeisBench's by weight name or file, a XiaoNet, a user's own.

    A file says itself which network it is of, a state dict by its tensors; a name of SeisBench is a PhaseNet's unless
    `architecture` says otherwise. Raises ValueError in one line.
    """
    if architecture is not None and is_own(architecture):
        return load_own(architecture, weights, field)
    if architecture is None and (file := state_dict_file(_here(weights, field))) is not None:
        return adapter_of(read_public(file, f"{field}={weights}" if field else weights))
    kind = architecture or kind_of(weights, field)
    if kind == XIAONET:
        return adapter_of(load_weights(XiaoNet, weights, field))
    return adapter_of(load_seisbench(kind, weights, field))


def kind_of(weights: str, field: str = "") -> str:
    """Which network a SeisBench pair is of, by what it says; of anything else PhaseNet."""
    pair = find_pair(_here(weights, field))
    if pair is None:
        return PHASENET
    stem, version = pair
    suffix = f".v{version}" if version else ""
    description = stem.with_name(f"{stem.name}.json{suffix}")
    try:
        arguments = json.loads(description.read_text()).get("model_args", {})
        if "base_channels" in arguments:
            return XIAONET if "pooling" in arguments else XIAONETV5B
        if "lstm_blocks" in arguments:
            return EQTRANSFORMER
    except (ValueError, AttributeError, TypeError):
        return PHASENET  # whoever loads it says what is wrong
    return PHASENETLIGHT if _is_light(stem.with_name(f"{stem.name}.pt{suffix}")) else PHASENET


def _here(weights: str, field: str) -> str:
    return weights_here(weights, field) if is_elsewhere(weights) else weights


def load_seisbench(architecture: str, weights: str, field: str = "") -> WaveformModel:
    """A network of SeisBench that fits our data: 100 Hz, components E, N, Z and its classes, in any order."""
    kind = SEISBENCH[architecture]
    model = load_weights(kind, weights, field)
    named = f"{field}={weights}" if field else weights
    wanted = ["Detection", "P", "S"] if architecture == EQTRANSFORMER else sorted(CLASSES)
    problems = {
        f"labels {_spelled(model.labels)}, not {_listed(wanted)} in some order": sorted(map(str, model.labels or []))
        != sorted(wanted),
        f"components {model.component_order}, not E, N and Z in some order": sorted(model.component_order or [])
        != sorted(COMPONENT_ORDER),
        f"{model.sampling_rate:g} Hz, not {SAMPLING_RATE_HZ:g} Hz": model.sampling_rate != SAMPLING_RATE_HZ,
        f"windows of {model.in_samples} samples, not {WINDOW_SAMPLES}": architecture != EQTRANSFORMER
        and model.in_samples != WINDOW_SAMPLES,
    }
    for problem, found in problems.items():
        if found:
            raise ValueError(f"{named}: this {kind.__name__} has {problem}")
    return model


def _is_light(file: Any) -> bool:
    """PhaseNet and PhaseNetLight are described alike: the names of their tensors tell."""
    try:
        return "conv1.conv.weight" in torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        return False  # whoever loads it says what is wrong


def _spelled(labels: object) -> str:
    return ", ".join(map(str, labels)) if isinstance(labels, (list, tuple, str)) else str(labels)


def _listed(names: list[str]) -> str:
    ordered = sorted(names, key=lambda name: (name == "N", name))
    return f"{', '.join(ordered[:-1])} and {ordered[-1]}"
