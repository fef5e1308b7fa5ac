"""A product quantizer with hard Gumbel choices (Baevski et al. 2020, arXiv:2006.11477, section 2)."""

# B batch, C channel of a feature, E channel of a code, G group, L token, V code of a group

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Quantized(NamedTuple):
    """What the quantizer makes of features."""

    codes_BLE: Tensor
    """The chosen codes of all groups, side by side."""
    choice_BLG: Tensor
    """Which code of each group was chosen."""
    probabilities_BLGV: Tensor
    """The plain softmax that the choice comes from, without noise or temperature."""


class VectorQuantizer(nn.Module):
    """Chooses one code of each group for each feature vector.

    In training the choice is the largest of the logits with Gumbel noise, its gradient that of the softmax at
    `temperature`; in evaluation it is the largest logit. Logits are divided by the root of the feature's width:
    with weights from a normal distribution they are then of order 1, and the softmax is not decided from the start.
    """

    def __init__(self, width: int, groups: int = 2, codes: int = 320, code_width: int = 256) -> None:
        super().__init__()
        assert code_width % groups == 0
        self.groups = groups
        self.codevectors = nn.Parameter(torch.rand(groups, codes, code_width // groups))
        self.weight_proj = nn.Linear(width, groups * codes)
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)

    def forward(self, features_BLC: Tensor, temperature: float = 1.0, gumbel_BLGV: Tensor | None = None) -> Quantized:
        """Quantize (B, L, C). `gumbel_BLGV` is the noise of a training step; by default it is drawn here."""
        logits_BLGV = self.weight_proj(features_BLC).float() / math.sqrt(features_BLC.shape[-1])
        logits_BLGV = logits_BLGV.unflatten(-1, (self.groups, -1))
        if self.training:
            noise_BLGV = gumbel_like(logits_BLGV) if gumbel_BLGV is None else gumbel_BLGV
            soft_BLGV = ((logits_BLGV + noise_BLGV) / temperature).softmax(-1)
            choice_BLG = soft_BLGV.argmax(-1)
            hard_BLGV = nn.functional.one_hot(choice_BLG, logits_BLGV.shape[-1]) + soft_BLGV - soft_BLGV.detach()
        else:
            choice_BLG = logits_BLGV.argmax(-1)
            hard_BLGV = nn.functional.one_hot(choice_BLG, logits_BLGV.shape[-1]).to(logits_BLGV.dtype)
        # A broadcast product with the codebook would hold B L G V E numbers.
        codes_BLGE = torch.einsum("blgv,gve->blge", hard_BLGV, self.codevectors)
        return Quantized(codes_BLGE.flatten(2), choice_BLG, logits_BLGV.softmax(-1))


def gumbel_like(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gumbel noise of the same shape, drawn as `torch.nn.functional.gumbel_softmax` draws it."""
    return -torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_(generator=generator).log()
