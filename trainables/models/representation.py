"""What pretraining hands to fine-tuning: a convolutional encoder of waveforms and a backbone over its tokens."""

# B batch, C channel, D width, L token, X component (E, N, Z), T time sample

from __future__ import annotations

import bisect
import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.models.padding import halved, zero_padding
from trainables.models.representation_config import RepresentationConfig
from trainables.models.transformer import POSITION_GROUPS, Transformer
from trainables.models.xlstm_unet import XLSTMUNet

PARTS = ("encoder", "backbone")
"""Submodules of a `Representation`; what stands above them (a head, a quantizer) belongs to its task."""


class Encoded(NamedTuple):
    """What the convolutional encoder makes of a batch of waveforms."""

    features_BLC: Tensor
    """Normalised features: what a quantizer sees."""
    tokens_BLD: Tensor
    """The same, projected to the width of the backbone."""
    length_B: Tensor | None
    """Tokens of each waveform; None where all fill the batch."""


class ConvEncoder(nn.Module):
    """Convolutions of kernel 3 and stride 2, each with LayerNorm and GELU; then LayerNorm and a projection."""

    def __init__(self, config: RepresentationConfig, in_channels: int = 3) -> None:
        super().__init__()
        widths = [in_channels] + [config.conv_width] * config.conv_layers
        self.layers = nn.ModuleList(
            nn.ModuleDict({"conv": nn.Conv1d(i, o, 3, stride=2, padding=1), "norm": nn.LayerNorm(o)})
            for i, o in pairwise(widths)
        )
        self.norm = nn.LayerNorm(config.conv_width)
        self.projection = nn.Linear(config.conv_width, config.d_model)

    def forward(self, x_BXT: Tensor, num_samples_B: Tensor | None = None) -> Encoded:
        """Encode normalised waveforms (B, X, T); samples beyond `num_samples_B` are padding, and zero."""
        y_BLC, length_B = x_BXT.transpose(1, 2), num_samples_B
        for layer in self.layers:
            y_BLC = layer["conv"](zero_padding(y_BLC, length_B).transpose(1, 2)).transpose(1, 2)  # type: ignore[index]
            y_BLC = F.gelu(layer["norm"](y_BLC))  # type: ignore[index]
            length_B = halved(length_B, 2)
        features_BLC = self.norm(y_BLC)
        return Encoded(features_BLC, self.projection(features_BLC), length_B)


class Representation(nn.Module):
    """Encoder and backbone: waveforms (B, 3, T) to tokens in context (B, L, D)."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConvEncoder(config)
        self.backbone = build_backbone(config)

    def tokens(self, x_BXT: Tensor, num_samples_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Tokens in context (B, L, D) and the number of tokens of each waveform (None: all of them)."""
        encoded = self.encoder(x_BXT, num_samples_B)
        return self.backbone(encoded.tokens_BLD, encoded.length_B), encoded.length_B


def build_backbone(config: RepresentationConfig) -> nn.Module:
    """The backbone of `config` with fresh weights: (B, L, D) and lengths to (B, L, D)."""
    if config.backbone == "transformer":
        return Transformer(config, *sizes_of_equal_count(config))
    return XLSTMUNet(config)


def sizes_of_equal_count(config: RepresentationConfig) -> tuple[int, int]:
    """Width and feed-forward width of a Transformer with as many parameters as the xLSTM U-Net of `config`.

    The width whose Transformer (feed-forward four times as wide) comes nearest; the feed-forward makes up the rest.
    """
    step = math.lcm(POSITION_GROUPS, config.num_heads)
    widths = range(step, 8 * config.d_model + 4 * step, step)
    with torch.device("meta"):  # sizes alone: nothing is allocated
        wanted = _count(XLSTMUNet(config))
        place = bisect.bisect_left(widths, wanted, key=lambda width: _count(Transformer(config, width, 4 * width)))
        nearby = widths[max(place - 1, 0) : place + 1]
        lacking = {width: wanted - _count(Transformer(config, width, 4 * width)) for width in nearby}
    width = min(nearby, key=lambda width: abs(lacking[width]))
    per_channel = 2 * config.n_layers * (2 * width + 1)
    return width, 4 * width + round(lacking[width] / per_channel)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
