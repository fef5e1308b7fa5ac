"""A picker with lifelike statistics and small windows, exported once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from trainables.export.onnx import export_onnx
from trainables.export.quantize import quantize_int8
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student


def windows(number: int, seed: int = 0) -> np.ndarray:
    """Normalised windows (N, 3, 3001) of coloured noise with a burst."""
    rng = np.random.default_rng(seed)
    noise_NXT = np.cumsum(rng.normal(size=(number, 3, 3001)), axis=-1)
    noise_NXT -= noise_NXT.mean(axis=-1, keepdims=True)
    noise_NXT[..., 1000:1400] += rng.normal(0, 40, (number, 3, 400))
    return (noise_NXT / np.abs(noise_NXT).max(axis=-1, keepdims=True)).astype(np.float32)


def picker(base_channels: int = 4, pooling: int = 4, norm: str = "batch") -> XiaoNet:
    """Weights whose batch normalisation has seen data, so that folding it changes something."""
    torch.manual_seed(0)
    model = build_student(StudentConfig(base_channels=base_channels, pooling=pooling, norm=norm, dropout=0.1))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    with torch.no_grad():
        model.train()
        for _ in range(20):
            model(torch.from_numpy(windows(4)))
    return model.eval()


class Files(NamedTuple):
    model: XiaoNet
    fp32: Path
    int8: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("onnx")
    model = picker(base_channels=8, pooling=4)
    export_onnx(model, folder / "fp32.onnx", {"P": 0.3, "S": 0.25})
    quantize_int8(folder / "fp32.onnx", folder / "int8.onnx", windows(16))
    return Files(model, folder / "fp32.onnx", folder / "int8.onnx")
