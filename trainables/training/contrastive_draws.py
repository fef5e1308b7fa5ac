"""The random choices of pretraining: masks, negatives and Gumbel noise, each a function of the sample's key.

So they depend neither on how samples are spread over workers nor on what was drawn before.
"""

# B batch, G group, K negative, L token, V code of a group

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.models.contrastive import ContrastiveConfig
from trainables.models.vector_quantizer import gumbel_like

LEAST_SPANS = 2


class ContrastiveDraws(NamedTuple):
    """Random choices for a batch."""

    mask_BL: Tensor
    negatives_BLK: Tensor
    """Masked tokens of the same waveform, never the token itself; 0 where the token is not masked."""
    gumbel_BLGV: Tensor | None
    """Noise of the quantizer's choices; None in evaluation, which has none."""


def contrastive_draws(
    keys_B: Sequence[int],
    seed: int,
    epoch: int,
    num_tokens_B: Sequence[int],
    config: ContrastiveConfig,
    device: torch.device,
    training: bool = True,
    num_tokens: int | None = None,
) -> ContrastiveDraws:
    """Draw for samples of the given keys (position in the epoch, or number of the window).

    `num_tokens_B` are the tokens of each waveform without padding, `num_tokens` those of the batch with it (default:
    of its longest waveform). Raises ValueError where a waveform is too short to mask two spans of it.
    """
    num_tokens = num_tokens or max(num_tokens_B)
    mask_BL = np.zeros((len(keys_B), num_tokens), dtype=bool)
    negatives_BLK = np.zeros((len(keys_B), num_tokens, config.negatives), dtype=np.int64)
    for place, (key, tokens) in enumerate(zip(keys_B, num_tokens_B, strict=True)):
        generator = np.random.default_rng((seed, epoch, key))
        mask_L = span_mask(tokens, config.mask_probability, config.mask_length, generator)
        mask_BL[place, :tokens] = mask_L
        negatives_BLK[place, :tokens][mask_L] = _negatives(mask_L, config.negatives, generator)
    return ContrastiveDraws(
        torch.from_numpy(mask_BL).to(device),
        torch.from_numpy(negatives_BLK).to(device),
        _gumbel(keys_B, seed, epoch, num_tokens, config, device) if training else None,
    )


def span_mask(num_tokens: int, probability: float, length: int, generator: np.random.Generator) -> np.ndarray:
    """(L,), True under spans of `length` tokens that begin at random tokens and may overlap.

    `probability` is the share under masks if no two overlapped; what is left of a span is rounded at random.
    """
    if num_tokens < 2 * length:
        raise ValueError(
            f"contrastive.mask_length={length}: a waveform of {num_tokens} tokens is too short to mask two such spans"
        )
    wanted = int(probability * num_tokens / length + generator.random())
    spans = min(max(wanted, LEAST_SPANS), num_tokens - length + 1)
    starts = generator.choice(num_tokens - length + 1, spans, replace=False)
    mask_L = np.zeros(num_tokens, dtype=bool)
    mask_L[(starts[:, None] + np.arange(length)).ravel()] = True
    return mask_L


def _negatives(mask_L: np.ndarray, num_negatives: int, generator: np.random.Generator) -> np.ndarray:
    """(masked tokens, K): masked tokens, uniformly, without the token itself."""
    masked = np.flatnonzero(mask_L)
    drawn = generator.integers(0, len(masked) - 1, (len(masked), num_negatives))
    drawn += drawn >= np.arange(len(masked))[:, None]
    return masked[drawn]


def _gumbel(
    keys_B: Sequence[int], seed: int, epoch: int, num_tokens: int, config: ContrastiveConfig, device: torch.device
) -> Tensor:
    noise_BLGV = torch.empty(len(keys_B), num_tokens, config.groups, config.codes, device=device)
    generator = torch.Generator(device)
    for place, key in enumerate(keys_B):
        generator.manual_seed(int(np.random.SeedSequence((seed, epoch, key)).generate_state(1, np.uint64)[0] >> 1))
        noise_BLGV[place] = gumbel_like(noise_BLGV[place], generator)
    return noise_BLGV
