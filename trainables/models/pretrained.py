"""Weights of an encoder and a backbone from a checkpoint: ours, or one of the public xLSTM repository's Lightning.

What reads tensors out of a stranger's file, and says what became of them, serves students too (`student_weights.py`).
"""

# C channel, X component, K kernel

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from trainables.data.config import COMPONENT_ORDER
from trainables.fetched import is_elsewhere, weights_here
from trainables.models.representation import PARTS, Representation

WEIGHTS = "encoder.pt"
"""File of a pretraining's artifacts that `save_encoder` writes."""

FILES = (
    f"artifacts/{WEIGHTS}",
    WEIGHTS,
    "state.pt",
    "classifier.pt",
    "checkpoints/best.ckpt",
    "best.ckpt",
    "checkpoints/last.ckpt",
)
"""Where the weights of a folder are looked for, in this order; then a single `checkpoints/*.ckpt` or `*.ckpt`."""

FIRST_CONVOLUTION = "encoder.layers.0.conv.weight"
PUBLIC_ORDER = "ZNE"
"""Components as the public repository, and the published foreshock code, feed them. Their checkpoints do not say it."""

_NAMES = [  # of the public repository, then ours; applied one after the other
    (r"^model\._net\.", "backbone."),
    (r"^model\.(?=(enc_stages|downs|center|ups|up_stages|out_norm)\.)", "backbone."),
    (r"^encoder\.layers\.(\d+)\.ln\.", r"encoder.layers.\1.norm."),
    (r"^encoder\.mask_emb$", "mask_embedding"),
    (r"^encoder\.final_norm\.", "encoder.norm."),
    (r"^encoder\.final_projection\.", "encoder.projection."),
    (r"^backbone\.enc_stages\.", "backbone.down_stages."),
    (r"^backbone\.center\.0\.", "backbone.center."),
    (r"^backbone\.out_norm\.", "backbone.norm."),
    (r"^(backbone\..*?)\.blocks_fwd\.", r"\1.forward_stacks."),
    (r"^(backbone\..*?)\.blocks_bwd\.", r"\1.backward_stacks."),
    (r"^(backbone\.(?:\w+_stages\.\d+|center))\.fwd\.", r"\1.forward_stacks.0."),
    (r"^(backbone\.(?:\w+_stages\.\d+|center))\.bwd\.", r"\1.backward_stacks.0."),
    (r"^(backbone\.(?:\w+_stages\.\d+|center))\.fuse\.", r"\1.fuses.0."),
]
_WRAPPERS = re.compile(r"(^|\.)(module|_orig_mod)\.")
_SETTINGS = ("omegaconf.", "lightning.", "pytorch_lightning.", "typing.", "collections.", "pathlib.")
"""Types of settings that Lightning keeps beside the weights. They are read as empty shells; nothing of them runs."""
_PLAIN = {f"builtins.{name}" for name in ("dict", "list", "tuple", "set", "int", "float", "str", "bool")}


@dataclass(frozen=True)
class Pretrained:
    """What became of the tensors of a checkpoint."""

    file: Path
    loaded: list[str]
    """Tensors of the model that come from the checkpoint."""
    fresh: list[str]
    """Tensors of the model that stay as they were."""
    left_over: list[str]
    """Tensors of the checkpoint that have no place in the model, by their names in the checkpoint."""
    reordered: bool = False
    """The first convolution was trained on components in another order, and its input channels were permuted."""

    def summary(self) -> str:
        """What was loaded, kept fresh and left over, in three lines."""
        order = f", trained on {PUBLIC_ORDER} and brought to {COMPONENT_ORDER}" if self.reordered else ""
        return "\n".join(
            [
                f"loaded {len(self.loaded)} tensors from {self.file}{order}",
                f"kept fresh {len(self.fresh)}: {some(self.fresh)}",
                f"left over {len(self.left_over)}: {some(self.left_over)}",
            ]
        )


def save_encoder(model: Representation, file: Path) -> None:
    """Write encoder and backbone, with their configuration, for `load_pretrained`."""
    weights = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(PARTS)}
    torch.save({"config": model.config.model_dump(mode="json"), "state_dict": weights}, file)


def load_pretrained(model: Representation, source: str, field: str = "model.pretrained") -> Pretrained:
    """Put the encoder and backbone of a checkpoint into `model`, in place.

    `source` is a file or a folder: of `save_encoder`, of a pretraining's checkpoint (its best weights), or a
    Lightning checkpoint of the public xLSTM repository. A part that the checkpoint lacks stays fresh.
    The public layout's first convolution, which was trained on components Z, N, E, is brought to E, N, Z. Raises
    ValueError in one line, which names `field`, where there is no such path, the file holds more than tensors and
    settings, a part is of another architecture, or nothing fits.
    """
    file = find_checkpoint(source, field)
    found = read_tensors(file, field)
    theirs = {name: _our_name(name) for name in found}
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(PARTS)}
    given = {theirs[name]: tensor for name, tensor in found.items() if theirs[name].startswith(PARTS)}
    reordered = _is_public(found) and FIRST_CONVOLUTION in given
    given = _vanilla_slstm(given) | ({FIRST_CONVOLUTION: _in_our_order(given[FIRST_CONVOLUTION])} if reordered else {})
    parts = tuple(part for part in PARTS if any(name.startswith(f"{part}.") for name in given))
    differences = [text for text in differences_of(own, given) if text.startswith(parts)] if parts else []
    if not parts:
        raise ValueError(f"{field}={source}: nothing to load, {file} holds no encoder and no backbone")
    if differences:
        raise ValueError(f"{field}={source}: another architecture than the model: {some(differences, ', ', 3)}")
    model.load_state_dict(given, strict=False)
    return Pretrained(
        file,
        loaded=sorted(given),
        fresh=sorted(set(model.state_dict()) - set(given)),
        left_over=sorted(name for name in found if theirs[name] not in given),
        reordered=reordered,
    )


def find_checkpoint(source: str, field: str = "model.pretrained") -> Path:
    """The file of weights that `source` (a file or a folder) names. Raises ValueError, which says where it looked."""
    path = Path(weights_here(source, field) if is_elsewhere(source) else source).expanduser().absolute()
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(
            f"{field}={source}: no such file or folder, looked at {path}; name a checkpoint, or a sweep or run "
            "of a pretraining (pretraining-1, runs:/ID)"
        )
    for name in FILES:
        if (path / name).is_file():
            return path / name
    single = [*(path / "checkpoints").glob("*.ckpt"), *path.glob("*.ckpt")]
    if len(single) == 1:
        return single[0]
    if single:
        names = some(sorted(str(file.relative_to(path)) for file in single))
        raise ValueError(f"{field}={source}: {len(single)} checkpoints in {path}, name one of them: {names}")
    raise ValueError(f"{field}={source}: no checkpoint in {path}, looked for {', '.join(FILES)} and *.ckpt")


def read_tensors(file: Path, field: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, whatever lies around them. Weights are data from strangers: no code of them runs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch muses on the pickle's protocol; what cannot be read is an error
            unknown = get_unsafe_globals_in_checkpoint(str(file)) if zipfile.is_zipfile(file) else []
            shells = [(_shell(name), name) for name in unknown if name.startswith(_SETTINGS) or name in _PLAIN]
            refused = sorted(set(unknown) - {name for _, name in shells})
            if refused:
                raise ValueError(
                    f"{field}={file}: refused, it asks for {some(refused)}; a checkpoint must not hold code"
                )
            with safe_globals(shells):  # type: ignore[arg-type]
                held = torch.load(file, map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{field}={file}: not a checkpoint, the file does not hold tensors alone") from error
    for key in ("best_weights", "state_dict", "model"):
        if isinstance(held, dict) and isinstance(held.get(key), dict) and held[key]:
            held = held[key]
            break
    tensors = (
        {name: value for name, value in held.items() if isinstance(value, Tensor)} if isinstance(held, dict) else {}
    )
    if not tensors:
        raise ValueError(f"{field}={file}: not a checkpoint, there are no named tensors in it")
    return tensors


def _shell(name: str) -> type:
    """A type that takes whatever it is given and does nothing with it."""

    class Shell(dict):
        def __new__(cls, *_args: Any, **_options: Any) -> Shell:
            return super().__new__(cls)

        def __init__(self, *_args: Any, **_options: Any) -> None:
            super().__init__()

        def __setstate__(self, state: Any) -> None:
            pass

    Shell.__module__, _, Shell.__qualname__ = name.rpartition(".")
    Shell.__name__ = Shell.__qualname__
    return Shell


def _our_name(name: str) -> str:
    name = _WRAPPERS.sub(r"\1", name)
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name


def _is_public(names: Iterable[str]) -> bool:
    """Whether these are the public repository's names of an encoder and a backbone: ours stay as they are."""
    plain = [_WRAPPERS.sub(r"\1", name) for name in names]
    return any(_our_name(name) != name for name in plain if _our_name(name).startswith(PARTS))


def _in_our_order(weight_CXK: Tensor) -> Tensor:
    """A convolution over the components of the public repository, as one over ours."""
    if weight_CXK.shape[1:2] != (len(PUBLIC_ORDER),):
        return weight_CXK  # of another architecture, which the comparison of shapes says
    return weight_CXK[:, [PUBLIC_ORDER.index(component) for component in COMPONENT_ORDER]]


def _vanilla_slstm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """sLSTM cells that were trained by xLSTM's CUDA backend, in the layout of the one that runs everywhere.

    Recurrent kernels (head, in, gate, out) become (head, gate out, in), biases (head, gate, out) become (gate, head,
    out). The biases have the same shape in both: only the kernel beside them tells.
    """
    changed = dict(tensors)
    for name, kernel in tensors.items():
        if name.endswith("._recurrent_kernel_") and kernel.ndim == 4:
            heads, inner, gates, outer = kernel.shape
            changed[name] = kernel.permute(0, 2, 3, 1).reshape(heads, gates * outer, inner)
            bias = name.replace("._recurrent_kernel_", "._bias_")
            changed[bias] = tensors[bias].reshape(heads, gates, outer).permute(1, 0, 2).reshape(-1)
    return changed


def differences_of(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """In words, which tensors of a model and of a checkpoint are missing in the other or of another shape, by name."""
    texts = (_difference(name, own.get(name), given.get(name)) for name in sorted({*own, *given}))
    return [text for text in texts if text]


def _difference(name: str, own: Tensor | None, given: Tensor | None) -> str:
    if own is None or given is None:
        return f"{name} is only in the {'checkpoint' if own is None else 'model'}"
    shapes = ["x".join(map(str, tensor.shape)) for tensor in (own, given)]
    return "" if own.shape == given.shape else f"{name} is {shapes[1]} there and {shapes[0]} here"


def some(items: list[str], separator: str = ", ", most: int = 6) -> str:
    """The first ones, and how many more there are."""
    rest = len(items) - most
    return (separator.join(items[:most]) or "none") + (f" and {rest} more" if rest > 0 else "")
