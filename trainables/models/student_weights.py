"""A XiaoNet goes on from the weights of an earlier one: of its trial, its picker's folder, its pair, or a plain file.

The settings of the student hold, and weights of another size are refused: a student that should become another one than
it was begins anew. What a wider student has more than a near one, its context, is kept fresh.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.fetched import is_elsewhere, weights_here
from trainables.models.pretrained import Pretrained, differences_of, read_tensors, some
from trainables.models.weights import files_of_pair, find_pair
from trainables.models.xiaonet import XiaoNet

FILES = ("state.pt", "training/state.pt")
"""Where the weights of a folder without a pair are looked for: a training's checkpoint, whose best weights count."""

SIZES = ("base_channels", "pooling", "norm", "context")
"""Arguments of a XiaoNet that decide about its tensors, or what they mean."""

_PREFIX = re.compile(r"^((module|_orig_mod|xiaonet)\.)+")
_CONTEXT = re.compile(r"^bottleneck\.\d+\.(?=(around|mix)\.)")
"""Its place in the bottleneck depends on whether there is dropout."""


def load_student(student: XiaoNet, source: str, field: str = "student.pretrained") -> Pretrained:
    """Put the weights that `source` names into `student`, in place; says what was loaded, kept fresh and left over.

    `source`: a SeisBench pair (either half or its stem), a folder that holds one, a training's checkpoint, or a file of
    tensors, here or as s3://, https:// or http://. Raises ValueError in one line, which names `field`, where there is
    no such thing, it is of another network or of another size, or nothing fits.
    """
    file, stated = _find(source, field)
    if stated is not None and "base_channels" not in stated:
        raise ValueError(f"{field}={source}: not the weights of a XiaoNet, which student.architecture=xiaonet needs")
    found = read_tensors(file, field)
    place = len(student.bottleneck) - 1
    ours = {name: _CONTEXT.sub(f"bottleneck.{place}.", _PREFIX.sub("", name)) for name in found}
    own = student.state_dict()
    parts = tuple({f"{name.partition('.')[0]}." for name in own})
    given = {ours[name]: tensor for name, tensor in found.items() if ours[name].startswith(parts)}
    if "head.weight" not in given:
        raise ValueError(f"{field}={source}: nothing to load, {file} holds no tensors of a XiaoNet")
    _check_size(student, {**_size_of(given), **(stated or {})}, f"{field}={source}")
    fresh = [name for name in own if name not in given]
    differences = differences_of({name: own[name] for name in own if name in given or not _is_context(name)}, given)
    if differences:
        raise ValueError(f"{field}={source}: another architecture than the student: {some(differences, ', ', 3)}")
    student.load_state_dict(given, strict=False)
    return Pretrained(file, sorted(given), sorted(fresh), sorted(name for name in found if ours[name] not in given))


def _find(source: str, field: str) -> tuple[Path, Mapping[str, Any] | None]:
    """The file of tensors, and the arguments that are stated beside it; None where nothing is. Raises ValueError."""
    name = weights_here(source, field) if is_elsewhere(source) else source
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        pairs = sorted(file for file in path.glob("*.json*") if find_pair(str(file)))
        files = [path / one for one in FILES if (path / one).is_file()]
        if len(pairs) > 1:
            names = some([file.name for file in pairs])
            raise ValueError(f"{field}={source}: {len(pairs)} pickers in {path}, name one of them: {names}")
        if not pairs and not files:
            raise ValueError(
                f"{field}={source}: no student's weights in {path}, looked for xiaonet.json.v1 beside xiaonet.pt.v1, "
                f"and {' and '.join(FILES)}"
            )
        if not pairs:
            return files[0], None
        name = str(pairs[0])
    if find_pair(name):
        described, file = files_of_pair(name)
        return file, _stated(described, f"{field}={source}")
    if not path.is_file():
        raise ValueError(
            f"{field}={source}: no such file or folder, looked at {path}; name a student's trial (distillation-1/3), "
            "its folder or its file"
        )
    return path, None


def _stated(described: Path, named: str) -> Mapping[str, Any]:
    try:
        stated = json.loads(described.read_text(encoding="utf-8"))["model_args"]
        return {key: stated[key] for key in SIZES if key in stated}
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{named}: {described} does not describe a SeisBench model") from None


def _size_of(given: Mapping[str, Tensor]) -> dict[str, Any]:
    """What tensors tell of the student that they are of; its pooling they do not."""
    return {
        "base_channels": given["head.weight"].shape[1],
        "norm": "batch" if any(name.endswith(".running_mean") for name in given) else "group",
        "context": "wide" if any(map(_is_context, given)) else "near",
    }


def _check_size(student: XiaoNet, size: Mapping[str, Any], named: str) -> None:
    """Raises ValueError, which says the settings of a student that the weights fit."""
    other = {key: value for key, value in size.items() if value != getattr(student, key)}
    if other.get("context") == "near":
        del other["context"]  # which a wider student begins with
    if other:
        here = " ".join(f"student.{key}={getattr(student, key)}" for key in other)
        there = " ".join(f"student.{key}={value}" for key, value in other.items())
        raise ValueError(f"{named}: weights of another student than {here}; they need {there}")


def _is_context(name: str) -> bool:
    return _CONTEXT.match(name) is not None
