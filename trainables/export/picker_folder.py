"""The picker folder: what an edge device needs to pick waveforms, and nothing else.

A model, its description and one program, on onnxruntime, numpy and obspy alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipapp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables import edge
from trainables.atomic import whole_folder
from trainables.edge.network import RESIDUAL_STD, load_onnx
from trainables.edge.quakeml import VERSION_FILE, version

DESCRIPTION_FILE = "model.json"
PROGRAM_FILE = "pick.pyz"
OLDER_PROGRAM_FILE = "pick.py"
"""Of folders that an earlier version wrote: they pick as they always did, and a promotion replaces them."""
_START = "from trainables.edge.__main__ import main\n\nmain()\n"
NO_TIME_S = 315532800
"""1980-01-01, the first time that a zip file knows: the same code makes the same bytes."""


def write_picker_folder(
    folder: Path, model: Path, card: Mapping[str, Any], thresholds: Mapping[str, float] | None = None
) -> None:
    """Write `folder` with the ONNX file `model`, `model.json` and `pick.pyz`; it appears complete or not at all.

    What a caller must know is read from the file's metadata; `thresholds` of P and S replace those in it. `card` is
    kept as it is: plain data. Raises ValueError where `model` is no picker, or where `folder` holds something else.
    """
    network = load_onnx(model)
    if folder.exists() and (not folder.is_dir() or {file.name for file in folder.iterdir()} - _own(folder)):
        raise ValueError(f"{folder} exists and is no picker folder")
    described = {
        "file": model.name,
        "sampling_rate_hz": network.rate_hz,
        "component_order": network.components,
        "window_samples": network.window_samples,
        "classes": network.classes,
        **_stated(model),
        "thresholds": {phase: network.threshold(phase) for phase in network.phases} | dict(thresholds or {}),
        RESIDUAL_STD: network.residual_std_s,
        "card": dict(card),
    }
    with whole_folder(folder) as arriving:
        shutil.copyfile(model, arriving / model.name)
        (arriving / DESCRIPTION_FILE).write_text(json.dumps(described, indent=2) + "\n")
        write_program(arriving / PROGRAM_FILE)


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
    programs = PROGRAM_FILE, OLDER_PROGRAM_FILE
    return {DESCRIPTION_FILE, *programs, *(file.name for file in folder.glob("*.onnx"))}


def _stated(model: Path) -> dict[str, str]:
    """How waveforms are prepared and windows put together, in the model's own words."""
    import onnx

    metadata = {prop.key: prop.value for prop in onnx.load(model, load_external_data=False).metadata_props}
    more = ("normalisation_steps", "stacking", "blinding_samples")
    return {"normalisation": metadata["normalisation"]} | {key: metadata[key] for key in more if key in metadata}
