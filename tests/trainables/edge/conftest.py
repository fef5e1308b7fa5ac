"""A student whose curves rise and fall, so that they have many picks, and its ONNX network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lifelike import picker

from trainables.edge.network import Network, load_onnx
from trainables.export.onnx import export_onnx
from trainables.models.xiaonet import XiaoNet


@pytest.fixture(scope="session")
def lively() -> XiaoNet:
    model = picker(base_channels=4, pooling=4)
    with torch.no_grad():
        model.head.weight.mul_(12)
    return model


@pytest.fixture(scope="session")
def onnx_file(lively: XiaoNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pick") / "lively.onnx"
    export_onnx(lively, path, {"P": 0.6, "S": 0.5})
    return path


@pytest.fixture
def network(onnx_file: Path) -> Network:
    return load_onnx(onnx_file)
