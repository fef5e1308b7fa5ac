"""The files of a finished picker under the names of XiaoNet's document, for scripts that look for them.

The document restores the best weights at the end of training, so that its checkpoint, best, final and FP32 model are
the same. What it calls its INT8 model is the ONNX file here: torch cannot run a quantized convolution from a state dict
alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from seisbench.models import WaveformModel

from trainables.data.config import PHASES
from trainables.models.adapters import PickerAdapter
from trainables.models.own_network import WEIGHTS_FILE, OwnNetwork
from trainables.models.xiaonet import XiaoNet
from trainables.models.xiaonet_public import write_public

WEIGHTS = ("checkpoint.pt", "best_model.pth", "final_model.pth", "saved_model_fp32.pth")
INT8 = "saved_model_int8.pth"


def write_document_names(
    model: XiaoNet | PickerAdapter, folder: Path, thresholds: Mapping[str, float], int8: Path | None
) -> None:
    """Into `folder`; `int8`: the accepted ONNX file, None where there is none. Of a user's own network its file of
    weights takes the place of a state dict."""
    first, *others = (folder / name for name in WEIGHTS)
    if isinstance(model, OwnNetwork):
        shutil.copyfile(folder / WEIGHTS_FILE, first)
    else:
        network = model.network if isinstance(model, PickerAdapter) else model
        assert isinstance(network, WaveformModel)
        write_public(first, network, {phase: thresholds[phase] for phase in PHASES})
    for other in others:
        shutil.copyfile(first, other)
    if int8 is not None:
        shutil.copyfile(int8, folder / INT8)
