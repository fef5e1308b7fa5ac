"""Layers of a one-dimensional U-Net computed in two dimensions, channels last: same weights, faster kernels."""

# B batch, C channel, 1 a height of one, T time sample, F position within an upsampled sample

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FastConv1d(nn.Conv1d):
    """`nn.Conv1d` (same arguments, same state dict) on (B, C, 1, T), computed by `conv2d`.

    oneDNN and onnxruntime have far better 2-D than 1-D kernels, above all channels-last and in bfloat16.
    The gain is lost if a network goes back to three dimensions between convolutions: unsqueeze once at its
    entry, squeeze once at its end. Padding must be an integer.
    """

    def forward(self, x_BC1T: Tensor) -> Tensor:
        return F.conv2d(
            x_BC1T,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, int(self.padding[0])),
            dilation=(1, self.dilation[0]),
            groups=self.groups,
        )


def join_upsampled(skip_BC1T: Tensor, y_BC1T: Tensor, factor: int) -> Tensor:
    """Concatenate a skip with the nearest upsampling by `factor` of what comes from below.

    Written as one copy through a broadcast view: forward and backward cost two thirds of `interpolate`'s.
    """
    if torch.compiler.is_exporting():  # an exported graph has an operator for it
        upsampled_BC1T = F.interpolate(y_BC1T, scale_factor=(1.0, float(factor)), mode="nearest")
        return torch.cat([skip_BC1T, upsampled_BC1T], dim=1)
    batch, _, _, num_samples = y_BC1T.shape
    skip_BTFC = skip_BC1T.permute(0, 2, 3, 1).reshape(batch, num_samples, factor, -1)
    y_BTFC = y_BC1T.permute(0, 2, 3, 1).reshape(batch, num_samples, 1, -1).expand(-1, -1, factor, -1)
    joined_BTFC = torch.cat([skip_BTFC, y_BTFC], dim=-1)
    return joined_BTFC.reshape(batch, 1, num_samples * factor, -1).permute(0, 3, 1, 2)
