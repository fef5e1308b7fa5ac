"""A Transformer over tokens as in wav2vec2 (Baevski et al. 2020, arXiv:2006.11477), the rival of the xLSTM U-Net."""

# B batch, D width of the model, L token, W width of the Transformer

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainables.models.padding import valid, zero_padding
from trainables.models.representation_config import RepresentationConfig

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
