"""State dicts of the public XiaoNet repository (github.com/Hy-X/xiao_net), and of our own files with its names.

A `.pth` says nothing of itself but the names and shapes of its tensors, and these tell which network it is of: a
PhaseNet or PhaseNetLight of SeisBench, V5B, or the first XiaoNet. The rest is what that repository does with all of
them: components E, N, Z, windows of 3001 samples at 100 Hz, demeaned, detrended and divided by their peak per
component; classes P, S, noise; picks from 0.5 on. Its earliest PhaseNets alone take Z, N, E, which they are asked for.
Tensors may stand alone or, as later scripts there write them, under `model_state_dict` beside epoch and losses.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from seisbench.models import EQTransformer, PhaseNet, PhaseNetLight, WaveformModel
from torch import Tensor

from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ
from trainables.models.component_order import component_order
from trainables.models.v5b import XiaoNetV5B
from trainables.models.xiaonet import CLASSES, XiaoNet

ENDINGS = (".pth", ".pt")
ORDERS = (COMPONENT_ORDER, "ZNE")
"""Of the PhaseNets there: of most, and of those under PhaseNet_Models, trained in SeisBench's own order."""
HEIGHT = 0.5
"""From where that repository picks (`peak_detection.height`)."""

NESTED = ("model_state_dict", "state_dict")
"""Under which of its keys a checkpoint holds the tensors."""
NETWORK, ARGUMENTS, THRESHOLDS = "network", "model_args", "thresholds"
"""Beside the tensors in a file of ours: of which class the network is, with what it is made, where it picks."""

EXPECTED = "expected is a PhaseNet, a PhaseNetLight, a V5B or the first XiaoNet of the public XiaoNet repository"

_said: set[Path] = set()

State = Mapping[str, Tensor]
Make = Callable[[State], tuple[WaveformModel, State]]
"""A network for these tensors, with fresh weights, and the tensors under its own names."""


def is_public(path: Path) -> bool:
    """Whether it is a file with the name of a state dict."""
    return path.suffix in ENDINGS and path.is_file()


def read_public(path: Path, named: str) -> WaveformModel:
    """The network of a state dict, in eval mode. Nothing but tensors is read.

    Raises ValueError in one line, which begins with `named` and says what the file looks like.
    """
    held = _held(path, named)
    if "architecture" in held:
        raise ValueError(
            f"{named}: the weights of a network of your own, {held['architecture']}: name it in the setting of the "
            "architecture (module:Class)"
        )
    state = next((held[key] for key in NESTED if isinstance(held.get(key), dict)), held)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) < len(state):
        raise ValueError(f"{named}: {_looks(state)}; {EXPECTED}")
    make = next((make for first, make in _KINDS.items() if first in tensors), None)
    if NETWORK in held:
        make = _ours(held)
    if make is None:
        raise ValueError(f"{named}: {_looks(tensors)}; {EXPECTED}")
    try:
        model, fitting = make(tensors)
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError):
        raise ValueError(f"{named}: {_looks(tensors)}, of which no network can be made; {EXPECTED}") from None
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    unlike = [name for name in {*wanted, *fitting} if name not in fitting or wanted.get(name) != fitting[name].shape]
    if unlike:
        near = f"{len(unlike)} of them or of those of a {type(model).__name__} have no counterpart of the same shape"
        raise ValueError(f"{named}: {_looks(tensors)}, and {near}; {EXPECTED}")
    model.load_state_dict(fitting)
    if isinstance(model, PhaseNet) and NETWORK not in held:
        model = _in_its_order(model, path, named)
    stored = held[THRESHOLDS] if NETWORK in held and isinstance(held.get(THRESHOLDS), dict) else {}
    model.default_args |= {f"{phase}_threshold": float(stored.get(phase, HEIGHT)) for phase in PHASES}
    return model.eval()


@torch.no_grad()
def _in_its_order(model: PhaseNet, path: Path, named: str) -> PhaseNet:
    """A PhaseNet with the order of components that it was trained in, as it is found and said."""
    asked = model.eval()
    order, is_certain = component_order(lambda raw: asked(asked.annotate_batch_pre(raw, {})), ORDERS)
    how = "in which it tells P from S" if is_certain else "as most there do: it tells P from S alike in either order"
    _say(path, f"{named}: a {type(model).__name__} that takes {', '.join(order)}, {how}")
    if order == COMPONENT_ORDER:
        return model
    again = _a_phasenet(type(model), order)
    again.load_state_dict(model.state_dict())
    return again


def _a_phasenet(kind: type[PhaseNet], order: str = COMPONENT_ORDER) -> PhaseNet:
    return kind(phases=CLASSES, component_order=order, sampling_rate=SAMPLING_RATE_HZ, norm="peak", norm_detrend=True)


def _say(path: Path, line: str) -> None:
    """Of each file once in a process."""
    if path not in _said:
        _said.add(path)
        print(line, file=sys.stderr, flush=True)


def write_public(path: Path, model: WaveformModel, thresholds: Mapping[str, float]) -> None:
    """A checkpoint as that repository writes it, with what is needed to read it again."""
    arguments = {key: value for key, value in model.get_model_args().items() if key != "default_args"}
    plain = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    said = {NETWORK: type(model).__name__, ARGUMENTS: arguments, THRESHOLDS: dict(thresholds)}
    torch.save({NESTED[0]: plain, **said}, path)


def _held(path: Path, named: str) -> dict[str, Any]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = "it holds more than tensors" if isinstance(error, pickle.UnpicklingError) else "torch cannot read it"
        raise ValueError(f"{named}: not a state dict ({what}); {EXPECTED}") from None
    if not isinstance(held, dict):
        raise ValueError(f"{named}: holds a {type(held).__name__}, not a state dict; {EXPECTED}")
    return held


def _ours(held: Mapping[str, Any]) -> Make | None:
    kind = {one.__name__: one for one in (XiaoNet, XiaoNetV5B, PhaseNet, PhaseNetLight, EQTransformer)}.get(
        str(held[NETWORK])
    )
    return None if kind is None else lambda state: (kind(**held[ARGUMENTS]), state)


def _first_xiaonet(state: State) -> tuple[WaveformModel, State]:
    """As our XiaoNet with pooling 2, which is the same network but for the last sample: there it repeats what is before
    it, where the public one answers with zeros."""
    parts = {f"enc{level + 1}": f"encoder.{level}" for level in range(3)}
    parts |= {f"dec{3 - level}": f"decoder.{level}" for level in range(3)} | {"output": "head"}
    fitting = {}
    for name, tensor in state.items():
        part, _, rest = name.partition(".")
        if part.startswith("dec") and rest == "0.weight":  # of a skip it is what comes first with us
            below = tensor.shape[1] * 2 // 3
            tensor = torch.cat([tensor[:, below:], tensor[:, :below]], dim=1)
        if name == "output.weight":
            tensor = F.pad(tensor, (1, 1))  # one tap in the middle of three
        fitting[f"{parts.get(part, part)}.{rest}"] = tensor
    return XiaoNet(base_channels=state["enc1.0.weight"].shape[0]), fitting


_KINDS: dict[str, Make] = {
    "down_branch.0.0.weight": lambda state: (_a_phasenet(PhaseNet), state),
    "conv1.conv.weight": lambda state: (_a_phasenet(PhaseNetLight), state),
    "multi_scale.path1.0.depthwise.weight": lambda state: (
        XiaoNetV5B(base_channels=state["enc1.0.pointwise.weight"].shape[0]),
        state,
    ),
    "enc1.0.weight": _first_xiaonet,
}
"""By a tensor that no other has."""


def _looks(state: Mapping[str, Any]) -> str:
    """`holds 12 tensors, fc.weight (10, 3), fc.bias (10) ...`."""
    if not state:
        return "holds nothing"
    shown = [
        f"{str(name)[:60]} ({', '.join(map(str, value.shape))})"
        if isinstance(value, Tensor)
        else f"{str(name)[:60]} (a {type(value).__name__})"
        for name, value in list(state.items())[:3]
    ]
    more = " ..." if len(state) > len(shown) else ""
    return f"holds {len(state)} entries, {', '.join(shown)}{more}"
