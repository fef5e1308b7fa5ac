"""Distillation: a XiaoNet, or another student, learns from a PhaseNet, an EQTransformer or several, and from labels.

    total = alpha * distill + (1 - alpha) * task

Teacher and student may have windows of different lengths and answer with different classes: `models/teacher.py` brings
the teacher's answer to what the student's is.

`train(DistillationConfig(...), LocalRun(folder))` runs it in this process, without any engine.
"""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.batches import Batch, heard
from trainables.data.streams import StreamStore, few_picks
from trainables.data.teacher_outputs import AskedOnce
from trainables.data.windows import cache_folder
from trainables.evaluation.teacher import teacher_on_dev, teacher_scores
from trainables.export.calibrated import check_calibratable
from trainables.export.cost import architecture_cost, network_cost
from trainables.export.own import try_own
from trainables.models.adapters import PickerAdapter
from trainables.models.architectures import XIAONET, build, load_picker, parts_of
from trainables.models.interface import Interface
from trainables.models.own_network import OwnNetwork
from trainables.models.pretrained import Pretrained
from trainables.models.student_weights import load_student
from trainables.models.teacher import (
    Teacher,
    TeacherEnsemble,
    digests,
    for_student,
    load_teacher,
    load_teachers,
    members,
    samples_around,
)
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun, Run
from trainables.training.agreeing import agree_on_streams
from trainables.training.distillation_config import DistillationConfig, DistillationLossConfig
from trainables.training.freezing import Freezing
from trainables.training.hints import hints
from trainables.training.loop import Losses, fit
from trainables.training.losses import softened_curves_divergence, softened_divergence, task_loss
from trainables.training.picker import PickerTask, check_data, finish, start
from trainables.training.rehearsal import Pace, picker_pace, taught
from trainables.training.state import TrainingState

logger = logging.getLogger("trainables")

PRESCRIBED = ("loss.alpha", "loss.temperature", "training.lr_factor", "training.lr_patience")
"""Settings that XiaoNet's document calls fixed, of those that can be set; their defaults are its values. It wants every
change in the notes, with its reason."""


def load_taught_by(config: DistillationConfig) -> Teacher | TeacherEnsemble:
    """The teacher, or the mean of several. Raises ValueError in one line where one cannot teach."""
    if config.teachers:
        return load_teachers(config.teachers, config.teacher.architecture)
    return load_teacher(config.teacher)


def load_second_teacher(config: DistillationConfig) -> Teacher | None:
    """Who is asked beside the teacher; None where nobody is. Raises ValueError in one line."""
    second = config.second_teacher
    if second.weights is None:
        return None
    return Teacher(load_picker(second.weights, "second_teacher.weights", second.architecture))


def preflight(config: DistillationConfig) -> dict[str, str]:
    """Check data, student and every teacher before any work starts; returns facts for the record. Raises ValueError."""
    facts = check_data(config.data)
    teacher = load_taught_by(config)
    load_second_teacher(config)
    if config.student.architecture != XIAONET or config.student.pretrained:
        student = build_taught(config, lambda loaded: facts.update(pretrained=str(loaded.file)))
        _freezing(config, student)
        if config.export.calibrate:
            check_calibratable(student, "student")
        if isinstance(student, OwnNetwork):
            facts |= try_own(student, "student", config.export.enabled)
    return facts | {
        "teacher": ", ".join(config.teachers or [config.teacher.weights]),
        "teacher_digest": ", ".join(digests(teacher)),
    }


def build_taught(
    config: DistillationConfig, note: Callable[[Pretrained], None] = lambda loaded: None
) -> XiaoNet | PickerAdapter:
    """The student, with fresh weights or those that it goes on from, of which `note` is told what became of them.
    Raises ValueError in one line where it cannot be made."""
    its = config.student
    brings_all = its.pretrained if its.architecture != XIAONET else None
    student = build(its.architecture, its.arguments, its.size, brings_all, group="student")
    if its.pretrained is None:
        return student
    if isinstance(student, XiaoNet):
        loaded = load_student(student, its.pretrained)
        _freezing(config, student).check(loaded.fresh)
    else:
        loaded = Pretrained(Path(its.pretrained), loaded=sorted(student.state_dict()), fresh=[], left_over=[])
    note(loaded)
    return student


def _freezing(config: DistillationConfig, student: nn.Module) -> Freezing:
    return Freezing(config.freezing, parts_of(config.student.architecture, student, config.freezing.schedule))


def train(config: DistillationConfig, run: Run) -> None:
    """Distil until early stopping, then export the best weights with their FP32 and INT8 scores."""
    cost, teacher = _cost(config), load_taught_by(config)
    begun: list[Pretrained] = []
    state = start(lambda: build_taught(config, begun.append), config, run, lambda student: _freezing(config, student))
    for loaded in begun:
        logger.info("%s", loaded.summary())
        state.tags["pretrained"] = loaded.summary()
    freezing = _freezing(config, state.model)
    interface: Interface = state.model.interface  # type: ignore[assignment]
    around = samples_around(teacher, interface)
    asked = for_student(teacher, interface).to(run.device)
    answers = _asked_once(asked, config, interface, around, run)

    def losses(student_BCT: Tensor, batch: Batch) -> Losses:
        return distillation_losses(student_BCT, batch, answers, config.loss, interface)

    def advise(history: list[dict[str, float]]) -> list[str]:
        few = [few_picks(source.store) for source in task.train if isinstance(source.store, StreamStore)]
        return [*hints(history, config.loss.alpha), *filter(None, few)]

    def agreement(student: nn.Module, thresholds: Mapping[str, float]) -> dict[str, float]:
        if not config.data.continuous:
            return {}
        return agree_on_streams(student, task, thresholds, teacher, load_second_teacher(config)).metrics

    task = PickerTask.open(config, run, state.model, losses, around, teacher)
    taught = teacher_on_dev(asked, digests(teacher), task.dev, config.picks, cache_folder(config.data), interface)
    check_roles(state, asked, run.device, around)
    constants = cost | teacher_scores(taught)
    seed = config.seed_of("dropout")
    fit(state, task, config.training, seed, run, constants=constants, advise=advise, freezing=freezing)
    if isinstance(answers, AskedOnce):
        answers.close()
    finish(state, task, docstring=_describe(config), events={"teacher": taught}, further=agreement)


def _asked_once(teacher: nn.Module, config: DistillationConfig, student: Interface, around: int, run: Run) -> nn.Module:
    """The teacher as training asks it: where its answers are kept, once for all trials that have the seed."""
    if not config.teacher.outputs_gb or not config.loss.alpha or run.device.type != "cpu":
        return teacher
    return AskedOnce(
        teacher,
        [config.seed, digests(teacher), [(one.interface, _orders(one)) for one in members(teacher)]],
        cache_folder(config.data),
        config.teacher.outputs_gb,
        heard_samples=student.window_samples + 2 * around,
        is_distribution=student.is_distribution,
    )


def _orders(teacher: Teacher) -> list[list[int]]:
    """How a teacher takes components and gives classes, which its weights do not tell."""
    return [buffer.tolist() for _, buffer in teacher.picker.named_buffers(recurse=False)]


def network(config: DistillationConfig) -> nn.Module:
    """What is trained, for its size."""
    return build_taught(config)


def rehearse(config: DistillationConfig, run: LocalRun) -> Pace:
    """How long a training takes on this machine, by one step of it. Raises ValueError."""
    teacher = load_taught_by(config)
    state = start(lambda: build_taught(config), config, run, lambda student: _freezing(config, student))
    interface: Interface = state.model.interface  # type: ignore[assignment]
    asked, around = for_student(teacher, interface).to(run.device), samples_around(teacher, interface)

    def losses(student_BCT: Tensor, batch: Batch) -> Losses:
        return distillation_losses(student_BCT, batch, asked, config.loss, interface)

    return taught(picker_pace(config, run, state, losses, around), teacher)


def _cost(config: DistillationConfig) -> dict[str, float]:
    if config.student.architecture == XIAONET:
        return architecture_cost(config.student.size, cache_folder(config.data))
    student = build_taught(config)
    assert isinstance(student, PickerAdapter)
    return network_cost(student, cache_folder(config.data), config.export.enabled)


def distillation_losses(
    student_BCT: Tensor,
    batch: Batch,
    teacher: nn.Module,
    config: DistillationLossConfig,
    student: Interface = Interface(),  # noqa: B008 (it is frozen)
) -> Losses:
    """Total, task and distillation loss of the student's logits. Without a teacher's share none is asked.

    Of a window in which nobody looked for anything the total is the teacher's loss alone.
    """
    task = task_loss(student_BCT, batch, student)
    if config.alpha == 0:
        return {metrics.TRAIN_LOSS: task, metrics.TASK_LOSS: task}
    teacher_BCT = teacher(heard(batch)).float()  # the teacher normalises as it was trained
    divergence = softened_divergence if student.is_distribution else softened_curves_divergence
    distill = divergence(student_BCT, teacher_BCT, config.temperature)
    if batch.labelled_BP is None or batch.labelled_BP.any(dim=1).all():
        taught = config.alpha * distill
    else:
        weight_B = torch.where(batch.labelled_BP.any(dim=1), config.alpha, 1.0)
        taught = divergence(student_BCT, teacher_BCT, config.temperature, weight_B)
    total = taught + (1 - config.alpha) * task
    return {metrics.TRAIN_LOSS: total, metrics.TASK_LOSS: task, metrics.DISTILL_LOSS: distill}


def check_roles(state: TrainingState, teacher: nn.Module, device: torch.device, around: int = 0) -> None:
    """The teacher is frozen, in eval mode and not in the optimizer; both answer for the same windows."""
    trained = {id(parameter) for group in state.optimizer.param_groups for parameter in group["params"]}
    assert not any(parameter.requires_grad for parameter in teacher.parameters()), "the teacher is not frozen"
    assert not any(id(parameter) in trained for parameter in teacher.parameters()), "the teacher would be trained"
    assert not any(module.training for module in teacher.modules()), "the teacher is in training mode"
    assert trained, "the student has nothing to train"
    interface: Interface = state.model.interface  # type: ignore[assignment]
    num_samples, num_classes = interface.window_samples, len(interface.classes)
    student = state.model.eval()
    taught_BCT = teacher(torch.zeros(2, 3, num_samples + 2 * around, device=device))
    assert not taught_BCT.requires_grad, "the teacher's answers carry gradients"
    shapes = tuple(student(torch.zeros(2, 3, num_samples, device=device)).shape), tuple(taught_BCT.shape)
    assert shapes[0] == (2, num_classes, num_samples), f"the student answers in shape {shapes[0]}"
    least = num_classes if interface.is_distribution else 2  # a teacher without a detection teaches P and S
    assert shapes[1][::2] == (2, num_samples), f"student and teacher answer in shapes {shapes}"
    assert least <= shapes[1][1] <= num_classes, f"student and teacher answer in shapes {shapes}"


def _describe(config: DistillationConfig) -> str:
    teacher = f"the mean of {' and '.join(config.teachers)}" if config.teachers else config.teacher.weights
    size = f"XiaoNet (base {config.student.base_channels}, pooling {config.student.pooling})"
    student = size if config.student.architecture == XIAONET else config.student.architecture
    kind = config.teacher.architecture or "PhaseNet"
    streams = f"the streams {', '.join(config.data.continuous)}" if config.data.learns_from_streams else ""
    data = " and ".join(filter(None, (config.data.named, streams)))
    return (
        f"{student} distilled from {kind} {teacher} on {data}: alpha {config.loss.alpha:g}, "
        f"temperature {config.loss.temperature:g}, seed {config.seed}"
        + (f", from the weights of {config.student.pretrained}" if config.student.pretrained else "")
    )
