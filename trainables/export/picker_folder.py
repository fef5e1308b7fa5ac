"""The picker folder: what an edge device needs to pick waveforms, and nothing else.

A model, its description and one program, on onnxruntime, numpy and obspy alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.export import pick

DESCRIPTION_FILE = "model.json"
PROGRAM_FILE = "pick.py"


def write_picker_folder(
    folder: Path, model: Path, card: Mapping[str, Any], thresholds: Mapping[str, float] | None = None
) -> None:
    """Write `folder` with the ONNX file `model`, `model.json` and `pick.py`; it appears complete or not at all.

    What a caller must know is read from the file's metadata; `thresholds` of P and S replace those in it. `card` is
    kept as it is: plain data. Raises ValueError where `model` is no picker, or where `folder` holds something else.
    """
    network = pick.load_onnx(model)
    if folder.exists() and (not folder.is_dir() or {file.name for file in folder.iterdir()} - _own(folder)):
        raise ValueError(f"{folder} exists and is no picker folder")
    described = {
        "file": model.name,
        "sampling_rate_hz": network.rate_hz,
        "component_order": network.components,
        "window_samples": network.window_samples,
        "classes": network.classes,
        "normalisation": _normalisation(model),
        "thresholds": {phase: network.threshold(phase) for phase in network.phases} | dict(thresholds or {}),
        "card": dict(card),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    arriving = folder.with_name(f".{folder.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir()
    shutil.copyfile(model, arriving / model.name)
    (arriving / DESCRIPTION_FILE).write_text(json.dumps(described, indent=2) + "\n")
    shutil.copyfile(pick.__file__, arriving / PROGRAM_FILE)
    shutil.rmtree(folder, ignore_errors=True)
    arriving.rename(folder)


def _own(folder: Path) -> set[str]:
    return {DESCRIPTION_FILE, PROGRAM_FILE, *(file.name for file in folder.glob("*.onnx"))}


def _normalisation(model: Path) -> str:
    import onnx

    metadata = {prop.key: prop.value for prop in onnx.load(model, load_external_data=False).metadata_props}
    return metadata["normalisation"]
