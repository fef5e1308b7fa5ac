"""A Transformer over tokens as in wav2vec2 (Baevski et al. 2020, arXiv:2006.11477), the rival of the xLSTM U-Net."""

# B batch, D width of the model, L token, W width of the Transformer

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainables.models.padding import valid, zero_padding

if TYPE_CHECKING:
    from trainables.models.representation import RepresentationConfig

POSITION_KERNEL = 128
POSITION_GROUPS = 16


class Transformer(nn.Module):
    """Tokens (B, L, D) to tokens in context (B, L, D).

    Positions come from a grouped convolution over 128 tokens, added to the tokens; layers normalise after their
    residual sums, as in wav2vec2-base.
    """

    def __init__(self, config: RepresentationConfig, width: int, feedforward: int) -> None:
        super().__init__()
        self.into = nn.Linear(config.d_model, width)
        self.position = nn.utils.parametrizations.weight_norm(
            nn.Conv1d(width, width, POSITION_KERNEL, padding=POSITION_KERNEL // 2, groups=POSITION_GROUPS), dim=2
        )
        self.norm_in = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, config.num_heads, feedforward, config.dropout, activation="gelu", batch_first=True
            )
            for _ in range(2 * config.n_layers)
        )
        self.out_of = nn.Linear(width, config.d_model)
        self.norm = nn.LayerNorm(config.d_model)
        self.gradient_checkpointing = config.gradient_checkpointing

    def forward(self, x_BLD: Tensor, length_B: Tensor | None = None) -> Tensor:
        """Tokens beyond `length_B` are padding: they move no other token."""
        num_tokens = x_BLD.shape[1]
        x_BLW = zero_padding(self.into(x_BLD), length_B)
        position_BWL = F.gelu(self.position(x_BLW.transpose(1, 2))[..., :num_tokens])
        x_BLW = self.dropout(self.norm_in(x_BLW + position_BWL.transpose(1, 2)))
        padding_BL = None if length_B is None else ~valid(length_B, num_tokens)
        for layer in self.layers:
            if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
                x_BLW = checkpoint(layer, x_BLW, None, padding_BL, use_reentrant=False)
            else:
                x_BLW = layer(x_BLW, src_key_padding_mask=padding_BL)
        return self.norm(self.out_of(x_BLW))


def sizes_of_equal_count(config: RepresentationConfig) -> tuple[int, int]:
    """Width and feed-forward width of a Transformer with as many parameters as the xLSTM U-Net of `config`.

    The width whose Transformer (feed-forward four times as wide) comes nearest; the feed-forward makes up the rest.
    """
    from trainables.models.xlstm_unet import XLSTMUNet

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
