"""The teacher: a trained picker, frozen, that answers for the windows of its student.

Pickers differ in the order of components and classes, in normalisation and in the length of their windows. The first
are what `adapters.py` is for; a teacher that listens longer than its student is given the samples around the student's
windows, and one that listens shorter is asked several times.
"""

# B batch, C class (P, S, noise or detection), K window of a teacher within one of its student, N teacher,
# X component (E, N, Z), T time sample

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from seisbench.models import EQTransformer, PhaseNet
from torch import Tensor, nn

from trainables.config import Config
from trainables.models.adapters import PickerAdapter, adapter_of
from trainables.models.architectures import PHASENET, ArchitectureName, load_picker, load_seisbench
from trainables.models.interface import LEAST_SHARE, Interface, as_curves, as_distribution
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import XiaoNet


class TeacherConfig(Config):
    """The teacher of a distillation: its network and weights."""

    weights: str = "stead"
    """Weights of the teacher: a SeisBench weight name (stead, instance, original, ...), a file NAME.pt.v1 with
    NAME.json.v1 beside it, a state dict of the public XiaoNet repository (best_model.pth), or network.pt of a network
    of your own."""

    architecture: ArchitectureName | None = None
    """Network that the weights belong to: phasenet, phasenetlight, eqtransformer, xiaonet, xiaonetv5b, or your own
    module:Class. Default: as the file says; PhaseNet for a SeisBench weight name."""

    outputs_gb: float = Field(0.0, ge=0)
    """Disk space (GB) for the teacher's outputs, kept as float16 beside the window stores, so that trials with the same
    seed compute them once. 0: off, except that sweeps with several trials of the same seed use 4. Only on CPUs; outputs
    are always computed in float32."""


class Teacher(nn.Module):
    """A frozen picker: no gradients, always in eval mode."""

    def __init__(self, model: PhaseNet | EQTransformer | XiaoNet | PickerAdapter) -> None:
        super().__init__()
        self.picker = adapter_of(model)
        self.requires_grad_(False).eval()

    @property
    def interface(self) -> Interface:
        return self.picker.interface

    def train(self, mode: bool = True) -> Teacher:
        """Stays in eval mode whatever is asked: its running statistics are part of what it knows."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in counts."""
        return self.picker(raw_BXT)


class TeacherEnsemble(nn.Module):
    """Several teachers as one: the mean of their probabilities p_n, as the logits log((1/N) sum p_n).

    Their softmax is that mean; softened by a temperature T it is the mean to the power 1/T, renormalised, as for any
    teacher. Averaging comes before softening.
    """

    def __init__(self, teachers: Sequence[nn.Module]) -> None:
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


class CurvesEnsemble(TeacherEnsemble):
    """Several teachers of a student that answers with curves: of each curve the mean probability, as its logit."""

    @torch.no_grad()
    def forward(self, raw_BXT: Tensor) -> Tensor:
        answers = [teacher(raw_BXT).sigmoid() for teacher in self.teachers]
        num_curves = min(answer_BCT.shape[1] for answer_BCT in answers)  # a detection only where all have one
        return torch.stack([answer_BCT[:, :num_curves] for answer_BCT in answers]).mean(dim=0).logit(LEAST_SHARE)


class TeacherOfOthers(nn.Module):
    """A teacher of students with windows of another length or another kind of answer.

    It is given the student's windows with `around` samples more on either side. One that listens longer hears its own
    window around the middle of the student's, and is heard where that is. One that listens shorter is asked in windows
    of its length that overlap by half and end with the student's; where they overlap, the mean of their answers counts.
    """

    def __init__(self, teacher: Teacher, student: Interface, around: int) -> None:
        super().__init__()
        self.teacher, self.student, self.around = teacher, student, around
        own, num_samples = teacher.interface.window_samples, student.window_samples
        self.before = max(0, -(-(own - num_samples) // 2))
        self.starts = [*range(0, num_samples - own, max(1, own // 2)), num_samples - own] if own < num_samples else [0]
        self.eval()

    def train(self, mode: bool = True) -> TeacherOfOthers:
        """Stays in eval mode whatever is asked."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, wide_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) for the student's windows, as the student answers: a distribution or curves."""
        own, num_samples = self.teacher.interface.window_samples, self.student.window_samples
        first = self.around - self.before
        if own >= num_samples:
            return self._answer(wide_BXT[..., first : first + own])[..., self.before : self.before + num_samples]
        given_BXT = wide_BXT[..., first : first + num_samples]
        pieces_KBXT = torch.stack([given_BXT[..., start : start + own] for start in self.starts])
        answers_BCT = self._answer(pieces_KBXT.flatten(0, 1))
        shares_KBCT = (answers_BCT.softmax(1) if self.student.is_distribution else answers_BCT.sigmoid()).unflatten(
            0, (len(self.starts), -1)
        )
        total_BCT = torch.zeros(*shares_KBCT.shape[1:3], num_samples, device=wide_BXT.device)
        count_T = torch.zeros(num_samples, device=wide_BXT.device)
        for start, shares_BCT in zip(self.starts, shares_KBCT, strict=True):
            total_BCT[..., start : start + own] += shares_BCT
            count_T[start : start + own] += 1
        mean_BCT = total_BCT / count_T
        return mean_BCT.clamp(min=LEAST_SHARE).log() if self.student.is_distribution else mean_BCT.logit(LEAST_SHARE)

    def _answer(self, raw_BXT: Tensor) -> Tensor:
        answer_BCT = self.teacher(raw_BXT).float()
        translated = as_distribution if self.student.is_distribution else as_curves
        return translated(answer_BCT, self.teacher.interface)


def samples_around(teacher: Teacher | TeacherEnsemble, student: Interface) -> int:
    """How many samples on either side of the student's windows its teachers listen to."""
    longest = max(member.interface.window_samples for member in members(teacher))
    return max(0, -(-(longest - student.window_samples) // 2))


def for_student(teacher: Teacher | TeacherEnsemble, student: Interface) -> nn.Module:
    """The teacher as it answers for windows of the student with `samples_around` more on either side."""
    around = samples_around(teacher, student)
    alike = [
        not around and member.interface.window_samples == student.window_samples and _same_kind(member, student)
        for member in members(teacher)
    ]
    if all(alike) and (student.is_distribution or isinstance(teacher, Teacher)):
        return teacher
    taught: list[nn.Module] = [TeacherOfOthers(member, student, around) for member in members(teacher)]
    if len(taught) == 1:
        return taught[0]
    return TeacherEnsemble(taught) if student.is_distribution else CurvesEnsemble(taught)


def members(teacher: nn.Module) -> list[Teacher]:
    """The teacher, or each of several."""
    return [member for member in teacher.modules() if isinstance(member, Teacher)]


def digests(teacher: nn.Module) -> list[str]:
    """Which weights the teacher has, or each of several."""
    return [weights_digest(member.picker.network) for member in members(teacher)]


def _same_kind(teacher: Teacher, student: Interface) -> bool:
    return teacher.interface.is_distribution == student.is_distribution


def load_teachers(weights: Sequence[str], architecture: str | None = None) -> Teacher | TeacherEnsemble:
    """The teacher of these weights, or of several the mean. Raises ValueError in one line where one cannot teach."""
    teachers = [Teacher(load_picker(one, "teachers", architecture)) for one in weights]
    return teachers[0] if len(teachers) == 1 else TeacherEnsemble(teachers)


def load_teacher(config: TeacherConfig) -> Teacher:
    """The teacher that `config` names. Raises ValueError in one line where it cannot teach."""
    return Teacher(load_picker(config.weights, "teacher.weights", config.architecture))


def load_phasenet(weights: str, field: str = "") -> PhaseNet:
    """A PhaseNet that fits our windows: 100 Hz, components E, N, Z and classes P, S, N in any order."""
    return load_seisbench(PHASENET, weights, field)
