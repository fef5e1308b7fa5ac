"""What belongs to a network and to no constant: its window, its classes, and how waveforms are prepared for it."""

# B batch, C class, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.data.amplitudes import enlarged
from trainables.data.batches import normalise
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.data.windowing import Windowing

NOISE, DETECTION = "N", "D"
LEAST_SHARE = 1e-6
"""Of a class in a distribution made of curves, whose logarithm is taken."""

PEAK = ("demean", "detrend", "peak")
STD = ("demean", "detrend", "std")
"""Steps that prepare waveforms, by component: those of XiaoNet, and the same with the standard deviation."""

IN_WORDS = {
    "demean": "subtract mean",
    "detrend": "subtract linear trend",
    "peak": "divide by largest absolute value",
    "std": "divide by standard deviation",
    "std_of_all": "divide by standard deviation of all components",
    "taper": "taper the first and last six samples",
}

_EPS = 1e-10
_TAPER_SAMPLES = 6


@dataclass(frozen=True)
class Interface:
    """What whoever calls a network must know of it."""

    window_samples: int = WINDOW_SAMPLES
    classes: str = "PSN"
    """Of its answers in their order, P and S first. With N (noise) they are one distribution, a softmax; without,
    curves of their own, sigmoids: D is the detection of an earthquake."""
    steps: tuple[str, ...] = PEAK
    """How counts are prepared for it, keys of IN_WORDS."""
    stacking: str = "avg"
    """How the answers of overlapping windows make one curve: avg or max."""
    blinding_samples: tuple[int, int] = (0, 0)
    """What does not count at the start and the end of each window."""

    @property
    def is_distribution(self) -> bool:
        """Whether the classes share a probability of 1."""
        return NOISE in self.classes

    def windowing(self, around: int = 0) -> Windowing:
        """What it wants of the data, with samples on either side for a teacher."""
        return Windowing(self.window_samples, around, DETECTION in self.classes)

    def probabilities(self, logits_BCT: Tensor) -> Tensor:
        """Its probabilities (B, C, T), P and S first."""
        return logits_BCT.softmax(dim=1) if self.is_distribution else logits_BCT.sigmoid()

    def metadata(self) -> dict[str, str]:
        """The same as words for an ONNX file; what is as for XiaoNet is left out where a caller assumes it."""
        steps = [IN_WORDS[step] for step in self.steps]
        more = {
            "normalisation_steps": " ".join(self.steps) if self.steps != PEAK else "",
            "stacking": self.stacking if self.stacking != "avg" else "",
            "blinding_samples": " ".join(map(str, self.blinding_samples)) if any(self.blinding_samples) else "",
        }
        return {
            "sampling_rate_hz": f"{SAMPLING_RATE_HZ:g}",
            "component_order": COMPONENT_ORDER,
            "window_samples": str(self.window_samples),
            "classes": self.classes,
            "normalisation": f"per component: {', '.join(steps)}",
        } | {key: value for key, value in more.items() if value}


def prepared(raw_BXT: Tensor, steps: tuple[str, ...]) -> Tensor:
    """Counts as a network wants them. `trainables.edge.network` does the same in numpy."""
    if steps == PEAK:
        return normalise(raw_BXT)
    raw_BXT = enlarged(raw_BXT, dim=(1, 2))
    for step in steps:
        raw_BXT = _STEPS[step](raw_BXT)
    return raw_BXT


def as_distribution(logits_BCT: Tensor, interface: Interface) -> Tensor:
    """log of P, S and noise (B, 3, T) of any network's logits.

    Of curves p and s it is p / max(1, p + s), s / max(1, p + s) and max(0, 1 - p - s), as labels are made; what is
    below 1e-6 counts as that.
    """
    if interface.is_distribution:
        return logits_BCT.log_softmax(dim=1)
    p_BT, s_BT = logits_BCT[:, :2].sigmoid().unbind(dim=1)
    total_BT = p_BT + s_BT
    excess_BT = total_BT.clamp(min=1)
    shares_BCT = torch.stack([p_BT / excess_BT, s_BT / excess_BT, 1 - total_BT], dim=1).clamp(min=LEAST_SHARE)
    return (shares_BCT / shares_BCT.sum(dim=1, keepdim=True)).log()


def as_curves(logits_BCT: Tensor, interface: Interface) -> Tensor:
    """Logits of P and S as curves of their own (B, 2, T), log(p / (1 - p)), and of the detection where there is one."""
    if not interface.is_distribution:
        return logits_BCT
    p_BT, s_BT, noise_BT = logits_BCT.unbind(dim=1)
    return torch.stack([p_BT - torch.logaddexp(s_BT, noise_BT), s_BT - torch.logaddexp(p_BT, noise_BT)], dim=1)


def _demean(x_BXT: Tensor) -> Tensor:
    return x_BXT - x_BXT.mean(dim=-1, keepdim=True)


def _detrend(x_BXT: Tensor) -> Tensor:
    num_samples = x_BXT.shape[-1]
    ramp_T = torch.arange(num_samples, dtype=x_BXT.dtype, device=x_BXT.device) - (num_samples - 1) / 2
    ramp_T = ramp_T * (12 / (num_samples * max(1, num_samples**2 - 1))) ** 0.5  # of length 1
    return x_BXT - (x_BXT * ramp_T).sum(dim=-1, keepdim=True) * ramp_T


def _taper(x_BXT: Tensor) -> Tensor:
    rise_T = 0.5 * (1 + torch.cos(torch.linspace(torch.pi, 2 * torch.pi, _TAPER_SAMPLES, device=x_BXT.device)))
    level_T = torch.ones(x_BXT.shape[-1], dtype=x_BXT.dtype, device=x_BXT.device)
    level_T[:_TAPER_SAMPLES], level_T[-_TAPER_SAMPLES:] = rise_T, rise_T.flip(0)
    return x_BXT * level_T


_STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "demean": _demean,
    "detrend": _detrend,
    "peak": lambda x_BXT: x_BXT / (x_BXT.abs().amax(dim=-1, keepdim=True) + _EPS),
    "std": lambda x_BXT: x_BXT / (x_BXT.std(dim=-1, keepdim=True) + _EPS),
    "std_of_all": lambda x_BXT: x_BXT / (x_BXT.std(dim=(-1, -2), keepdim=True) + _EPS),
    "taper": _taper,
}
