"""Settings of a distillation: who learns, from whom, and how the teacher's word stands against the labels."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from trainables.config import Config
from trainables.models.architectures import XIAONET, ArchitectureName
from trainables.models.teacher import TeacherConfig
from trainables.models.xiaonet import StudentConfig
from trainables.training.config import PickerTrainingConfig
from trainables.training.freezing import FreezingConfig, check_not_random


class DistillationLossConfig(Config):
    """Response distillation (Hinton et al. 2015, arXiv:1503.02531)."""

    alpha: float = Field(0.5, ge=0, le=1)
    """Share of the teacher's loss; the loss on the labels has the share 1 - alpha."""

    temperature: float = Field(3.0, gt=0, le=100)
    """Temperature that softens the probabilities of teacher and student; 1 leaves them as they are."""


class SecondTeacherConfig(Config):
    """A second picker for comparison only. With streams, students are scored against the picks on which it and the
    teacher agree."""

    weights: str | None = None
    """Weights of the second teacher, given as in teacher.weights. Default: there is none, and students are scored
    against the teacher's own picks."""

    architecture: ArchitectureName | None = None
    """Network of the second teacher, given as in teacher.architecture."""


class TaughtConfig(StudentConfig):
    """The student: its network, size and start. Size and shape are a XiaoNet's; other networks have their own."""

    architecture: ArchitectureName = XIAONET
    """Network of the student: xiaonet, phasenet, phasenetlight, eqtransformer, xiaonetv5b, or module:Class for a
    network of your own."""

    arguments: dict[str, Any] = Field({})
    """Arguments for the network's class: any for a network of your own; in_samples, lstm_blocks and drop_rate for
    eqtransformer; base_channels and output (sigmoid or softmax) for xiaonetv5b."""

    pretrained: str | None = None
    """Weights of an earlier student of the same size to start from: its files, or, on the command line, a recorded
    trial or model (distillation-1/3, runs:/ID, models:/NAME@ALIAS). For another architecture, as model.pretrained of
    picking. Default: fresh weights."""

    @model_validator(mode="after")
    def _size_is_a_xiaonets(self) -> TaughtConfig:
        given = [name for name in StudentConfig.model_fields if getattr(self, name) != getattr(StudentConfig(), name)]
        if given and self.architecture != XIAONET:
            raise ValueError(
                f"student.{given[0]} is a setting of xiaonet, and student.architecture is {self.architecture}: leave "
                "it out (student.arguments says what the class of your own network is made with)"
            )
        return self

    @property
    def size(self) -> StudentConfig:
        """A XiaoNet's alone."""
        return StudentConfig(**{name: getattr(self, name) for name in StudentConfig.model_fields})


class DistillationConfig(PickerTrainingConfig):
    """A student, its teacher, the data, and how the student learns from the teacher."""

    student: TaughtConfig = TaughtConfig()
    """Network of the student, its size, and the weights it starts from."""

    freezing: FreezingConfig = FreezingConfig()
    """Which parts of the network of `student.pretrained` may change; in a U-Net the encoder is the way down, the
    backbone the way up."""

    teacher: TeacherConfig = TeacherConfig()
    """Teacher: its network and weights."""

    teachers: tuple[str, ...] = ()
    """Several teachers instead of `teacher`: a list of weights, each given as in `teacher.weights`. The student learns
    from the mean of their probabilities. Each teacher keeps its own order of components and classes, its normalisation
    and its window length."""

    second_teacher: SecondTeacherConfig = SecondTeacherConfig()
    """Second picker whose picks in the held-out hours of the streams are compared with the teacher's."""

    loss: DistillationLossConfig = DistillationLossConfig()
    """How the loss weighs the teacher against the labels."""

    @model_validator(mode="after")
    def _one_way_to_name_teachers(self) -> DistillationConfig:
        if self.teachers and self.teacher.weights != TeacherConfig().weights:
            raise ValueError("teachers and teacher.weights are both given: give either one teacher or a list")
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError(f"teachers: one is given twice in {', '.join(self.teachers)}")
        return self

    @model_validator(mode="after")
    def _nothing_random_rests(self) -> DistillationConfig:
        check_not_random(self.freezing, self.student.pretrained, "student.pretrained")
        return self

    @model_validator(mode="after")
    def _streams_have_a_teacher(self) -> DistillationConfig:
        if self.data.learns_from_streams and self.loss.alpha == 0:
            raise ValueError(
                "loss.alpha=0 with data.streams: streams have no labels, so nothing would be learned from them"
            )
        return self

    @model_validator(mode="after")
    def _a_second_teacher_is_another_one(self) -> DistillationConfig:
        if self.second_teacher.weights is None:
            return self
        if not self.data.continuous:
            raise ValueError(
                "second_teacher.weights is given without data.streams: a second teacher is used for streams only"
            )
        if self.second_teacher.weights in (self.teachers or (self.teacher.weights,)):
            raise ValueError(f"second_teacher.weights={self.second_teacher.weights} is the teacher: give another one")
        return self
