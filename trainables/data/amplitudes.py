"""Waveforms in metres have peaks of 1e-14: too small for the 1e-10 that SeisBench adds to a peak before it divides."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST_EXPONENT = 120


def enlarged(raw: Tensor, dim: int | tuple[int, ...] = -1) -> Tensor:
    """Waveforms whose greatest value along `dim` is below 1, times the power of two that brings it to 1 or more.

    Counts stay as they are. A power of two changes no digit, so that a network which normalises its input sees the same
    waveform in any unit.
    """
    return raw * enlargement(raw.abs().amax(dim=dim, keepdim=True))


def enlargement(size: Tensor) -> Tensor:
    """The power of two that brings a size below 1 to 1 or more; 1 for any other, 0 too."""
    exponent = (1 - torch.frexp(size).exponent).clamp(0, _LARGEST_EXPONENT)
    return torch.ldexp(torch.ones_like(size), torch.where(size > 0, exponent, 0))
