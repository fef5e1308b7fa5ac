"""Layers of a one-dimensional U-Net computed in two dimensions, channels last: same weights, faster kernels."""

# B batch, C channel (of the skip, of what comes from below), O output channel, K kernel tap, T time sample,
# 1 a height of one, U tap of the upsampling kernel

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


class JoinConv1d(nn.Conv1d):
    """A convolution of three taps over a skip concatenated with what comes from below, upsampled to its length.

    The state dict is that of `nn.Conv1d(skip_channels + below_channels, out_channels, 3, padding=1)`. Nothing is
    upsampled or concatenated: nearest upsampling by f and then three taps is one transposed convolution with
    f + 2 taps, each the sum of those of the three that meet the same sample. Forward and backward cost half.
    (An exported graph has one convolution over both, which quantizes better.)
    """

    met_KU: Tensor

    def __init__(self, skip_channels: int, below_channels: int, out_channels: int, factor: int) -> None:
        super().__init__(skip_channels + below_channels, out_channels, kernel_size=3, padding=1)
        self.skip_channels, self.factor = skip_channels, factor
        self.register_buffer("met_KU", _met_taps(factor), persistent=False)

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
        """(skip (B, C, 1, f T), below (B, C, 1, T)) to (B, O, 1, f T)."""
        skip_BC1T, below_BC1T = pair
        weight_OCK = self.weight
        below_CO1U = (weight_OCK[:, self.skip_channels :] @ self.met_KU).transpose(0, 1).unsqueeze(2)
        from_skip = F.conv2d(skip_BC1T, weight_OCK[:, : self.skip_channels].unsqueeze(2), self.bias, padding=(0, 1))
        return from_skip + F.conv_transpose2d(below_BC1T, below_CO1U, stride=(1, self.factor), padding=(0, 1))


def _met_taps(factor: int) -> Tensor:
    """(K, U) of 0 and 1: which of the three taps each tap of the transposed convolution adds up.

    Output o meets, by tap k, the upsampled sample o + k - 1 = f i + s; the transposed convolution brings sample i
    to o = f i + u - 1, so that u = s - k + 2 for every position s within the factor f.
    """
    met_KU = torch.zeros(3, factor + 2)
    for tap in range(3):
        met_KU[tap, 2 - tap : 2 - tap + factor] = 1
    return met_KU
