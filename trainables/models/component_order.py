"""In which order a picker takes its components, where its weights do not say it: found by asking it.

A P wave shakes the vertical most, an S wave the horizontals. A trained picker that is given plain synthetic earthquakes
in the wrong order takes the one for the other, or finds neither.
"""

# B window, C class (P, S, noise), X component, T time sample

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ, WINDOW_SAMPLES

WINDOWS = 64
ONSETS = {"P": 1000, "S": 1600}
"""In samples of a window."""
MOTION = {"P": (0.3, 0.3, 1.0), "S": (1.0, 1.0, 0.3)}
"""Amplitude on E, N, Z."""
LEVEL = {"P": 10.0, "S": 20.0}
"""Over the noise."""
RISE_S, FALL_S, SMOOTH_SAMPLES = 0.03, 1.5, 9
NEAR_SAMPLES = 50

DECISIVE = 0.5
"""By so much the score of one order, which lies in [-2, 2], exceeds the other's where a picker has one. PhaseNets of
both orders that were tried: 2.2 and 1.4."""


def component_order(
    probabilities: Callable[[Tensor], Tensor], orders: Sequence[str], fallback: str = COMPONENT_ORDER
) -> tuple[str, bool]:
    """The one of `orders` in which a picker tells P from S best, and whether that is certain; else the fallback.

    `probabilities`: raw windows (B, X, T) to (B, C, T), P and S first.
    """
    raw_BXT = _earthquakes()
    score = {
        order: _told_apart(probabilities(raw_BXT[:, [COMPONENT_ORDER.index(letter) for letter in order]]))
        for order in orders
    }
    best, *others = sorted(score, key=lambda order: -score[order])
    is_certain = all(score[best] - score[other] >= DECISIVE for other in others)
    return (best, True) if is_certain else (fallback, False)


def _told_apart(probabilities_BCT: Tensor) -> float:
    """Mean of what is answered at the onset of its own phase, less what is answered at the other's."""
    total = 0.0
    for row, phase in enumerate(PHASES):
        for other, onset in ONSETS.items():
            near_BT = probabilities_BCT[:, row, onset - NEAR_SAMPLES : onset + NEAR_SAMPLES]
            total += float(near_BT.amax(dim=1).mean()) * (1 if other == phase else -1)
    return total


def _earthquakes() -> Tensor:
    """Windows (B, X, T) of noise with a P and an S wave each, the same every time."""
    generator = torch.Generator().manual_seed(0)
    shape = WINDOWS, len(COMPONENT_ORDER), WINDOW_SAMPLES
    time_T = torch.arange(WINDOW_SAMPLES)
    taps = torch.hann_window(SMOOTH_SAMPLES)
    raw_BXT = torch.randn(shape, generator=generator)
    for phase, onset in ONSETS.items():
        wave = torch.randn(shape, generator=generator).view(-1, 1, WINDOW_SAMPLES)
        wave_BXT = F.conv1d(wave, (taps / taps.norm())[None, None], padding=SMOOTH_SAMPLES // 2).view(shape)
        since_s_T = (time_T - onset).clamp(min=0) / SAMPLING_RATE_HZ
        envelope_T = (1 - torch.exp(-since_s_T / RISE_S)) * torch.exp(-since_s_T / FALL_S)
        raw_BXT += LEVEL[phase] * torch.tensor(MOTION[phase])[:, None] * wave_BXT * envelope_T
    return raw_BXT
