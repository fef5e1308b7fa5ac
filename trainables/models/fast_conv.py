"""A Conv1d that computes in two dimensions: the same weights, faster kernels."""

# B batch, C channel, 1 a height of one, T time sample

from __future__ import annotations

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
