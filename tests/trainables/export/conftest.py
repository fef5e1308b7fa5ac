"""A picker with lifelike statistics and small windows, exported once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from lifelike import picker, windows

from trainables.export.onnx import export_onnx
from trainables.export.quantize import quantize_picker
from trainables.models.xiaonet import XiaoNet


class Files(NamedTuple):
    model: XiaoNet
    fp32: Path
    int8: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("onnx")
    model = picker(base_channels=8, pooling=4)
    export_onnx(model, folder / "fp32.onnx", {"P": 0.3, "S": 0.25})
    quantize_picker(model, folder / "fp32.onnx", folder / "int8.onnx", windows(16))
    return Files(model, folder / "fp32.onnx", folder / "int8.onnx")
