"""What lies far from a sample, for the bottleneck of a XiaoNet: most of what tells P from S is not near it."""

# B batch, C channel, 1 a height of one, T time sample of the bottleneck (0.64 s at pooling 4)

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.models.fast_layers import FastConv1d

DILATIONS = (2, 4, 8)


class WideContext(nn.Module):
    """(B, C, 1, T) to the same shape: the input plus what three dilated depthwise convolutions, which see 29 samples,
    and the mean over the whole window tell, mixed by one pointwise convolution.

    Dilated depthwise convolutions as in the temporal convolutional networks of Bai et al. 2018 (arXiv:1803.01271); the
    mean as in the global branch of Hu et al. 2018 (arXiv:1709.01507), but added, not multiplied.
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for dilation in DILATIONS:
            layers += [
                FastConv1d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False),
                nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels),
                nn.ReLU(inplace=True),
            ]
        self.around = nn.Sequential(*layers)
        self.mix = FastConv1d(2 * channels, channels, kernel_size=1)

    def forward(self, x_BC1T: Tensor) -> Tensor:
        around_BC1T = self.around(x_BC1T)
        mean_BC1T = x_BC1T.mean(dim=3, keepdim=True).expand_as(around_BC1T)
        return x_BC1T + self.mix(torch.cat([around_BC1T, mean_BC1T], dim=1))
