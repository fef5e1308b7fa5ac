"""Tokens beyond the end of a waveform that is shorter than its batch: left out of everything."""

# B batch, L token, D width

from __future__ import annotations

import torch
from torch import Tensor


def halved(length_B: Tensor | None, factor: int) -> Tensor | None:
    """Number of tokens left where each stands for `factor` of before, the last one perhaps for fewer."""
    return None if length_B is None else -(-length_B // factor)


def valid(length_B: Tensor, num_tokens: int) -> Tensor:
    """(B, L), True up to each waveform's end."""
    return torch.arange(num_tokens, device=length_B.device) < length_B.unsqueeze(1)


def zero_padding(x_BLD: Tensor, length_B: Tensor | None) -> Tensor:
    """Zero what lies beyond the end, as a convolution or a fold pads it where the waveform fills its batch."""
    return x_BLD if length_B is None else x_BLD * valid(length_B, x_BLD.shape[1]).unsqueeze(-1)


def reverse(x_BLD: Tensor, length_B: Tensor | None) -> Tensor:
    """Backward in time. Padding stays behind, so that a recurrence meets it last in either direction."""
    if length_B is None:
        return x_BLD.flip(1)
    place_L = torch.arange(x_BLD.shape[1], device=x_BLD.device)
    source_BL = torch.where(place_L < length_B.unsqueeze(1), length_B.unsqueeze(1) - 1 - place_L, place_L)
    return x_BLD.gather(1, source_BL.unsqueeze(-1).expand_as(x_BLD))


def mean_over_time(x_BLD: Tensor, length_B: Tensor | None) -> Tensor:
    """(B, D), the mean over the tokens that are there."""
    if length_B is None:
        return x_BLD.mean(1)
    return zero_padding(x_BLD, length_B).sum(1) / length_B.unsqueeze(1)
