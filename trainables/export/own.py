"""What of a user's own network can be exported: found out before training, and said in one line."""

# N calibration window, X component (E, N, Z), T time sample

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from trainables.data.config import COMPONENT_ORDER
from trainables.export.onnx import NotPossibleError, export_onnx, first_words
from trainables.export.quantize import int8_conv_share, quantize_picker
from trainables.models.adapters import PickerAdapter
from trainables.models.own_network import OwnNetwork, probe
from trainables.models.xiaonet import XiaoNet

TRIED_WINDOWS = 4
NOT_POSSIBLE = "not_possible"
"""A tag: what of a network's exports there will not be, and why."""


def try_own(picker: OwnNetwork, group: str, exports: bool) -> dict[str, str]:
    """Try the network as training, export and quantization will use it; facts for the record.

    Raises ValueError in one line where it cannot be trained. What cannot be exported (`exports`: whether anything is to
    be) is said on standard error, and training does without it.
    """
    probe(picker, group)
    without = what_is_missing(picker) if exports else ""
    if not without:
        return {}
    line = f"{group}.architecture={picker.architecture}: {without}"
    print(line, file=sys.stderr, flush=True)
    return {NOT_POSSIBLE: line}


def what_is_missing(picker: OwnNetwork) -> str:
    """What cannot be exported of the network, and why; empty where all can."""
    shape = TRIED_WINDOWS, len(COMPONENT_ORDER), picker.interface.window_samples
    with tempfile.TemporaryDirectory(prefix="seisweep-own-") as scratch:
        fp32, int8 = Path(scratch, "fp32.onnx"), Path(scratch, "int8.onnx")
        try:
            export_onnx(picker, fp32)
        except NotPossibleError as error:
            return no_onnx(error)
        try:
            quantize_own(picker, fp32, int8, np.random.default_rng(0).uniform(-1, 1, shape))
        except NotPossibleError as error:
            return no_int8(error)
        return "" if int8_conv_share(int8) else no_int8("no convolution runs in INT8")


def no_onnx(reason: object) -> str:
    """In words, for a screen and for the record."""
    return f"it cannot be written as ONNX ({reason}): trials leave its weights and scores, but no file to pick with"


def no_int8(reason: object) -> str:
    """In words, for a screen and for the record."""
    return f"there is no INT8 file of it ({reason}): trials leave FP32"


def quantize_own(model: XiaoNet | PickerAdapter, fp32: Path, int8: Path, calibration_NXT: np.ndarray) -> None:
    """`quantize_picker`; whatever goes wrong with a user's network is a NotPossibleError."""
    try:
        quantize_picker(model, fp32, int8, calibration_NXT)
    except Exception as error:
        int8.unlink(missing_ok=True)
        if isinstance(error, NotPossibleError) or not isinstance(model, OwnNetwork):
            raise
        raise NotPossibleError(first_words(error)) from error
