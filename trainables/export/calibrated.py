"""A calibration written into the last convolution of a picker, where it costs nothing and every format has it."""

# C class (P, S, noise), O output channel, I input channel, K kernel tap

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from trainables.evaluation.calibration import Calibration
from trainables.models.adapters import PhaseNetAdapter, PickerAdapter
from trainables.models.xiaonet import XiaoNet


def check_calibratable(model: nn.Module, group: str) -> None:
    """Raise ValueError where the last layer of a network is not one that makes logits of P, S and noise."""
    if not isinstance(model, XiaoNet | PhaseNetAdapter):
        raise ValueError(
            f"export.calibrate=true: {group}.architecture has to be xiaonet, phasenet or phasenetlight, whose last "
            "layer takes the map; leave it out for other networks"
        )


@torch.no_grad()
def calibrated(model: XiaoNet | PickerAdapter, calibration: Calibration) -> XiaoNet | PickerAdapter:
    """A copy whose logits, and so probabilities, are those of `model` after the calibration, exactly."""
    check_calibratable(model, "student")
    copied = copy.deepcopy(model)
    layer, channel_C = _last_layer(copied)
    matrix_CC, shift_C = calibration.as_matrix()
    matrix_OO, shift_O = np.zeros_like(matrix_CC), np.zeros_like(shift_C)
    matrix_OO[np.ix_(channel_C, channel_C)], shift_O[channel_C] = matrix_CC, shift_C
    matrix, shift = (torch.from_numpy(part).to(layer.weight) for part in (matrix_OO, shift_O))
    into = "po,iok->ipk" if isinstance(layer, nn.ConvTranspose1d) else "po,oik->pik"
    layer.weight.copy_(torch.einsum(into, matrix, layer.weight))
    assert layer.bias is not None
    layer.bias.copy_(matrix @ layer.bias + shift)
    return copied


def _last_layer(model: nn.Module) -> tuple[nn.Conv1d | nn.ConvTranspose1d, list[int]]:
    """With the channel of each class."""
    if isinstance(model, XiaoNet):
        return model.head, list(range(model.num_phases))
    assert isinstance(model, PhaseNetAdapter)
    return model.phasenet.out, model.class_index.tolist()
