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
    peak = raw.abs().amax(dim=dim, keepdim=True)
    exponent = (1 - torch.frexp(peak).exponent).clamp(0, _LARGEST_EXPONENT)
    return raw * torch.ldexp(torch.ones_like(peak), torch.where(peak > 0, exponent, 0))
