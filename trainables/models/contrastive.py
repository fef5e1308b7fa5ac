"""Pretraining by contrast: find the quantized target of a masked token among those of other masked tokens.

As wav2vec2 (Baevski et al. 2020, arXiv:2006.11477) on the tokens of seismic waveforms.
"""

# B batch, C channel of a feature, D width, L token, P width of the comparison, X component (E, N, Z), T time sample

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.config import Config
from trainables.models.representation import Representation
from trainables.models.representation_config import RepresentationConfig
from trainables.models.vector_quantizer import Quantized, VectorQuantizer


class ContrastiveConfig(Config):
    """Masks, codebook and contrast."""

    mask_probability: float = Field(0.65, gt=0, le=1)
    """Share of the tokens that would be masked if masked spans did not overlap; as they do, about 48 % are masked."""

    mask_length: int = Field(10, ge=1)
    """Number of tokens in a masked span."""

    groups: int = Field(2, ge=1)
    """Number of groups of codes; a target consists of one code from each group."""

    codes: int = Field(320, ge=2)
    """Number of codes in each group."""

    code_width: int = Field(256, ge=2)
    """Width of a target, that is of all its codes side by side."""

    negatives: int = Field(100, ge=1)
    """Number of other masked tokens of the same waveform that each positive is compared with."""

    temperature: float = Field(0.1, gt=0)
    """Temperature of the contrastive loss: cosine similarities are divided by it."""

    diversity_weight: float = Field(0.1, ge=0)
    """Weight of the loss term that encourages all codes to be used."""

    gumbel_start: float = Field(2.0, gt=0)
    """Temperature of the quantizer's Gumbel softmax at the first step."""

    gumbel_end: float = Field(0.5, gt=0)
    """Temperature of the quantizer's Gumbel softmax at the last step, reached along a cosine."""


class Contrast(NamedTuple):
    """The two sides of the comparison, token by token."""

    context_BLP: Tensor
    target_BLP: Tensor
    quantized: Quantized


class ContrastiveModel(Representation):
    """A representation with what pretraining adds: mask embedding, quantizer and two projections."""

    def __init__(self, config: RepresentationConfig, contrast: ContrastiveConfig) -> None:
        super().__init__(config)
        width = contrast.code_width
        self.mask_embedding = nn.Parameter(torch.rand(config.d_model))
        self.quantizer = VectorQuantizer(config.conv_width, contrast.groups, contrast.codes, width)
        self.project_context = nn.Linear(config.d_model, width)
        self.project_target = nn.Linear(width, width)

    def forward(
        self,
        x_BXT: Tensor,
        mask_BL: Tensor,
        gumbel_temperature: float = 1.0,
        gumbel_BLGV: Tensor | None = None,
        num_samples_B: Tensor | None = None,
    ) -> Contrast:
        """Compare masked context with targets from the unmasked encoder output.

        `mask_BL` is True where the mask embedding takes a token's place before the backbone.
        """
        encoded = self.encoder(x_BXT, num_samples_B)
        mask_embedding_D = self.mask_embedding.to(encoded.tokens_BLD.dtype)
        masked_BLD = torch.where(mask_BL.unsqueeze(-1), mask_embedding_D, encoded.tokens_BLD)
        context_BLD = self.backbone(masked_BLD, encoded.length_B)
        quantized = self.quantizer(encoded.features_BLC, gumbel_temperature, gumbel_BLGV)
        return Contrast(self.project_context(context_BLD), self.project_target(quantized.codes_BLE), quantized)


def num_tokens(num_samples: int, config: RepresentationConfig) -> int:
    """Tokens of a waveform of so many samples."""
    return -(-num_samples // 2**config.conv_layers)


def gumbel_temperature(progress: float, config: ContrastiveConfig) -> float:
    """Temperature of the quantizer after a share `progress` (0 to 1) of all steps."""
    half = (config.gumbel_start - config.gumbel_end) / 2
    return config.gumbel_end + half * (1 + math.cos(math.pi * min(progress, 1.0)))
