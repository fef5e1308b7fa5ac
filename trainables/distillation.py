"""Distillation: a XiaoNet learns from a PhaseNet teacher and from labels.

    total = alpha * distill + (1 - alpha) * task

`train(DistillationConfig(...), LocalRun(folder))` runs it in this process, without any engine.
"""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables import metrics
from trainables.config import Config
from trainables.data.batches import Batch
from trainables.data.config import WINDOW_SAMPLES
from trainables.data.windows import cache_folder
from trainables.evaluation.teacher import teacher_on_dev, teacher_scores
from trainables.export.cost import architecture_cost
from trainables.models.teacher import Teacher, TeacherConfig, TeacherEnsemble, load_teacher, load_teachers
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import StudentConfig, build_student
from trainables.run import Run
from trainables.training.config import PickerTrainingConfig
from trainables.training.hints import hints
from trainables.training.loop import Losses, fit
from trainables.training.losses import soft_cross_entropy, softened_divergence
from trainables.training.picker import PickerTask, check_data, finish, start, student_logits
from trainables.training.state import TrainingState


class DistillationLossConfig(Config):
    """Response distillation (Hinton et al. 2015, arXiv:1503.02531)."""

    alpha: float = Field(0.5, ge=0, le=1)
    """Share of the teacher's loss; the labels get 1 - alpha."""

    temperature: float = Field(3.0, gt=0, le=100)
    """Softens both distributions; 1 leaves them as they are."""


class DistillationConfig(PickerTrainingConfig):
    """A student, its teacher, the data and how the one learns from the other."""

    student: StudentConfig = StudentConfig()
    """Size and shape of the student."""

    teacher: TeacherConfig = TeacherConfig()
    """Who teaches."""

    teachers: tuple[str, ...] = ()
    """Several in its place, whose probabilities are averaged: weights as `teacher.weights` takes them. Each has its own
    order of components and classes and its own normalisation."""

    loss: DistillationLossConfig = DistillationLossConfig()
    """Teacher against labels."""

    @model_validator(mode="after")
    def _one_way_to_name_teachers(self) -> DistillationConfig:
        if self.teachers and self.teacher != TeacherConfig():
            raise ValueError("teachers and teacher.weights are both given: either one teacher or a list")
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError(f"teachers: one is there twice in {', '.join(self.teachers)}")
        return self


def load_taught_by(config: DistillationConfig) -> Teacher | TeacherEnsemble:
    """The teacher, or the mean of several. Raises ValueError in one line where one cannot teach."""
    return load_teachers(config.teachers) if config.teachers else load_teacher(config.teacher)


def preflight(config: DistillationConfig) -> dict[str, str]:
    """Check data and every teacher before any work starts; returns facts for the record. Raises ValueError."""
    facts = check_data(config.data)
    teacher = load_taught_by(config)
    return facts | {
        "teacher": ", ".join(config.teachers or [config.teacher.weights]),
        "teacher_digest": ", ".join(digests(teacher)),
    }


def digests(teacher: Teacher | TeacherEnsemble) -> list[str]:
    """Which weights the teacher has, or each of several."""
    return [weights_digest(member.phasenet) for member in teacher.modules() if isinstance(member, Teacher)]


def train(config: DistillationConfig, run: Run) -> None:
    """Distil until early stopping, then export the best weights with their FP32 and INT8 scores."""
    cost = architecture_cost(config.student, cache_folder(config.data))
    teacher = load_taught_by(config).to(run.device)

    def losses(student_BCT: Tensor, batch: Batch) -> Losses:
        return distillation_losses(student_BCT, batch, teacher, config.loss)

    def advise(history: list[dict[str, float]]) -> list[str]:
        return hints(history, config.loss.alpha)

    task = PickerTask.open(config, run, student_logits, losses)
    taught = teacher_on_dev(teacher, digests(teacher), task.dev, config.picks, cache_folder(config.data))
    state = start(lambda: build_student(config.student), config, run)
    check_roles(state, teacher, run.device)
    fit(state, task, config.training, config.seed, run, constants=cost | teacher_scores(taught), advise=advise)
    finish(state, task, docstring=_describe(config), events={"teacher": taught})


def distillation_losses(
    student_BCT: Tensor, batch: Batch, teacher: nn.Module, config: DistillationLossConfig
) -> Losses:
    """Total, task and distillation loss of the student's logits. Without a teacher's share none is asked."""
    task = soft_cross_entropy(student_BCT, batch.labels_BCT)
    if config.alpha == 0:
        return {metrics.TRAIN_LOSS: task, metrics.TASK_LOSS: task}
    teacher_BCT = teacher(batch.raw_BXT).float()  # the teacher normalises as it was trained
    distill = softened_divergence(student_BCT, teacher_BCT, config.temperature)
    total = config.alpha * distill + (1 - config.alpha) * task
    return {metrics.TRAIN_LOSS: total, metrics.TASK_LOSS: task, metrics.DISTILL_LOSS: distill}


def check_roles(state: TrainingState, teacher: nn.Module, device: torch.device) -> None:
    """The teacher is frozen, in eval mode and not in the optimizer; both answer in the same shape."""
    trained = {id(parameter) for group in state.optimizer.param_groups for parameter in group["params"]}
    assert not any(parameter.requires_grad for parameter in teacher.parameters()), "the teacher is not frozen"
    assert not any(id(parameter) in trained for parameter in teacher.parameters()), "the teacher would be trained"
    assert not any(module.training for module in teacher.modules()), "the teacher is in training mode"
    assert trained, "the student has nothing to train"
    probe_BXT = torch.zeros(2, 3, WINDOW_SAMPLES, device=device)
    student = state.model.eval()
    taught_BCT = teacher(probe_BXT)
    assert not taught_BCT.requires_grad, "the teacher's answers carry gradients"
    shapes = {tuple(student(probe_BXT).shape), tuple(taught_BCT.shape)}
    assert shapes == {(2, 3, WINDOW_SAMPLES)}, f"student and teacher answer in shapes {shapes}"


def _describe(config: DistillationConfig) -> str:
    teacher = f"the mean of {' and '.join(config.teachers)}" if config.teachers else config.teacher.weights
    return (
        f"XiaoNet (base {config.student.base_channels}, pooling {config.student.pooling}) distilled from PhaseNet "
        f"{teacher} on {config.data.dataset}: alpha {config.loss.alpha:g}, "
        f"temperature {config.loss.temperature:g}, seed {config.seed}"
    )
