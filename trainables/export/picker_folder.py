"""The picker folder: what others need to pick waveforms with a model.

For an edge device its ONNX files, their description and one program, on onnxruntime, numpy and obspy alone. For who has
SeisBench the pair of files of its weights and, where SeisBench does not know the network, its class as one file.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipapp
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from trainables import edge
from trainables.atomic import whole_folder
from trainables.edge.network import RESIDUAL_STD, load_onnx
from trainables.edge.quakeml import VERSION_FILE, version
from trainables.export.one_file import as_one_file
from trainables.export.picker_readme import OWN_CLASSES, README_FILE, readme
from trainables.models.architectures import kind_of
from trainables.models.weights import files_of_pair

DESCRIPTION_FILE = "model.json"
PROGRAM_FILE = "pick.pyz"
OLDER_PROGRAM_FILE = "pick.py"
"""Of folders that an earlier version wrote: they pick as they always did, and a promotion replaces them."""
_START = "from trainables.edge.__main__ import main\n\nmain()\n"
NO_TIME_S = 315532800
"""1980-01-01, the first time that a zip file knows: the same code makes the same bytes."""


CLASS_FILES = tuple(f"{kind}.py" for kind in OWN_CLASSES)
_CLASS_DOCSTRING = """A small phase picker, as a model of SeisBench: this file needs torch and SeisBench alone.

Made out of the sources of seisweep, which trained the weights beside it. In names of tensors: B batch, C channel or
class (P, S, noise), X component (E, N, Z), T time sample, 1 a height of one, K tap of a kernel, U of an upsampling one.
"""


def write_picker_folder(
    folder: Path,
    model: Path,
    card: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
    *,
    others: Sequence[Path] = (),
    pair: Path | None = None,
    text: str = "",
) -> None:
    """Write `folder` with the ONNX file `model`, `model.json` and `pick.pyz`; it appears complete or not at all.

    What a caller must know is read from the file's metadata; `thresholds` of P and S replace those in it. `card` is
    kept as it is: plain data. `others` are ONNX files of the same picker in another precision, for who asks for them;
    `pair` the stem of its weights for SeisBench. `text` begins README.md. Raises ValueError where `model` is not a
    picker, or where `folder` holds something else.
    """
    network = load_onnx(model)
    if folder.exists() and (not folder.is_dir() or {file.name for file in folder.iterdir()} - _own(folder)):
        raise ValueError(f"{folder} exists and is not a picker folder")
    weights = files_of_pair(str(pair)) if pair else []
    with whole_folder(folder) as arriving:
        for file in (model, *others, *weights):
            shutil.copyfile(file, arriving / file.name)
        if pair and (kind := kind_of(str(pair))) in OWN_CLASSES:
            text_of_class = as_one_file(OWN_CLASSES[kind], _CLASS_DOCSTRING, without=("interface",))
            (arriving / f"{kind}.py").write_text(text_of_class, encoding="utf-8")
        write_program(arriving / PROGRAM_FILE)
        (arriving / README_FILE).write_text(readme(arriving, model.name, pair, text), encoding="utf-8")
        described = {
            "file": model.name,
            "files": sorted(file.name for file in arriving.iterdir()),
            "sampling_rate_hz": network.rate_hz,
            "component_order": network.components,
            "window_samples": network.window_samples,
            "classes": network.classes,
            **_stated(model),
            "thresholds": {phase: network.threshold(phase) for phase in network.phases} | dict(thresholds or {}),
            RESIDUAL_STD: network.residual_std_s,
            "card": dict(card),
        }
        (arriving / DESCRIPTION_FILE).write_text(json.dumps(described, indent=2) + "\n")


def check_picker_folder(folder: Path, only: Sequence[str] = ("*",)) -> None:
    """Whether a folder is a picker folder and has all that it came with, of names like these. Raises ValueError, which
    names what is missing."""
    described = folder / DESCRIPTION_FILE
    if not described.is_file():
        raise ValueError(f"{folder} is not a picker folder: {DESCRIPTION_FILE} is missing")
    try:
        told = json.loads(described.read_text(encoding="utf-8"))
        files = told.get("files", [told["file"]])  # an earlier version names the model alone
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{described}: not the description of a picker") from None
    wanted = [name for name in files if any(fnmatch(name, pattern) for pattern in only)]
    if missing := [name for name in wanted if not (folder / name).is_file()]:
        raise ValueError(f"the picker folder {folder} is incomplete: {', '.join(missing)} missing")


def write_program(file: Path) -> None:
    """The package `trainables.edge` alone, as an archive that Python runs: `python pick.pyz day.mseed`."""
    with tempfile.TemporaryDirectory(prefix="seisweep-edge-") as scratch:
        package = Path(scratch, "trainables", "edge")
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        for source in Path(edge.__path__[0]).glob("*.py"):
            shutil.copyfile(source, package / source.name)
        (package / VERSION_FILE).write_text(version() or "")
        Path(scratch, "__main__.py").write_text(_START)  # zipapp's own would carry the time
        for path in Path(scratch).rglob("*"):
            os.utime(path, (NO_TIME_S, NO_TIME_S))
        zipapp.create_archive(scratch, file, interpreter="/usr/bin/env python3", compressed=True)


def _own(folder: Path) -> set[str]:
    programs = PROGRAM_FILE, OLDER_PROGRAM_FILE, *CLASS_FILES
    models = (file.name for kind in ("*.onnx", "*.json.v*", "*.pt.v*") for file in folder.glob(kind))
    return {DESCRIPTION_FILE, README_FILE, *programs, *models}


def _stated(model: Path) -> dict[str, str]:
    """How waveforms are prepared and windows put together, in the model's own words."""
    import onnx

    metadata = {prop.key: prop.value for prop in onnx.load(model, load_external_data=False).metadata_props}
    more = ("normalisation_steps", "stacking", "blinding_samples")
    return {"normalisation": metadata["normalisation"]} | {key: metadata[key] for key in more if key in metadata}
