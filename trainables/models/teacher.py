"""The teacher: any PhaseNet, frozen, brought to our components and class order.

PhaseNets differ in the order of components and classes and in normalisation. `annotate_batch_pre` normalises
as the network was trained but leaves the components as they come, so they are permuted before it.
"""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from seisbench.models import PhaseNet
from torch import Tensor, nn

from trainables.config import Config
from trainables.data.amplitudes import enlarged
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.models.weights import load_weights
from trainables.models.xiaonet import CLASSES


class TeacherConfig(Config):
    """Which PhaseNet teaches."""

    weights: str = "stead"
    """SeisBench weight name (stead, instance, original, ...) or a file: NAME.pt.v1 beside NAME.json.v1."""


class PhaseNetAdapter(nn.Module):
    """A PhaseNet that takes raw windows in order E, N, Z and answers in classes P, S, noise."""

    component_index: Tensor
    class_index: Tensor

    def __init__(self, phasenet: PhaseNet) -> None:
        super().__init__()
        self.phasenet = phasenet
        components = [COMPONENT_ORDER.index(component) for component in phasenet.component_order]
        classes = [list(phasenet.labels).index(label) for label in CLASSES]
        self.register_buffer("component_index", torch.tensor(components), persistent=False)
        self.register_buffer("class_index", torch.tensor(classes), persistent=False)

    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in any unit."""
        counts_BXT = enlarged(raw_BXT, dim=(1, 2))
        as_trained_BXT = self.phasenet.annotate_batch_pre(counts_BXT[:, self.component_index], {})
        return self.phasenet(as_trained_BXT, logits=True)[:, self.class_index]


class Teacher(PhaseNetAdapter):
    """A frozen PhaseNet: no gradients, always in eval mode."""

    def __init__(self, phasenet: PhaseNet) -> None:
        super().__init__(phasenet)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stays in eval mode whatever is asked: its running statistics are part of what it knows."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, raw_BXT: Tensor) -> Tensor:
        return super().forward(raw_BXT)


class TeacherEnsemble(nn.Module):
    """Several teachers as one: the mean of their probabilities p_n, as the logits log((1/N) sum p_n).

    Their softmax is that mean; softened by a temperature T it is the mean to the power 1/T, renormalised, as for any
    teacher. Averaging comes before softening.
    """

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        super().__init__()
        self.teachers = nn.ModuleList(teachers)
        self.eval()

    def train(self, mode: bool = True) -> TeacherEnsemble:
        """Stays in eval mode whatever is asked, as each of its teachers does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in counts; each teacher orders and normalises them for itself."""
        logs_NBCT = torch.stack([teacher(raw_BXT).log_softmax(dim=1) for teacher in self.teachers])
        return logs_NBCT.logsumexp(dim=0) - math.log(len(self.teachers))


def load_teachers(weights: Sequence[str]) -> Teacher | TeacherEnsemble:
    """The teacher of these weights, or of several the mean. Raises ValueError in one line where one cannot teach."""
    teachers = [Teacher(load_phasenet(one, field="teachers")) for one in weights]
    return teachers[0] if len(teachers) == 1 else TeacherEnsemble(teachers)


def load_teacher(config: TeacherConfig) -> Teacher:
    """The teacher that `config` names. Raises ValueError in one line where it cannot teach."""
    return Teacher(load_phasenet(config.weights, field="teacher.weights"))


def load_phasenet(weights: str, field: str = "") -> PhaseNet:
    """A PhaseNet that fits our windows: 100 Hz, components E, N, Z and classes P, S, N in any order."""
    phasenet = load_weights(PhaseNet, weights, field)
    named = f"{field}={weights}" if field else weights
    problems = {
        f"labels {_spelled(phasenet.labels)}, not P, S and N in some order": sorted(phasenet.labels or [])
        != sorted(CLASSES),
        f"components {phasenet.component_order}, not E, N and Z in some order": sorted(phasenet.component_order or [])
        != sorted(COMPONENT_ORDER),
        f"{phasenet.sampling_rate:g} Hz, not {SAMPLING_RATE_HZ:g} Hz": phasenet.sampling_rate != SAMPLING_RATE_HZ,
        f"windows of {phasenet.in_samples} samples, not {WINDOW_SAMPLES}": phasenet.in_samples != WINDOW_SAMPLES,
    }
    for problem, found in problems.items():
        if found:
            raise ValueError(f"{named}: this PhaseNet has {problem}")
    return phasenet


def _spelled(labels: object) -> str:
    return ", ".join(map(str, labels)) if isinstance(labels, (list, tuple, str)) else str(labels)
