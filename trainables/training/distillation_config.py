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
    """Share of the teacher's loss; the labels get 1 - alpha."""

    temperature: float = Field(3.0, gt=0, le=100)
    """Softens both distributions; 1 leaves them as they are."""


class SecondTeacherConfig(Config):
    """Another teacher, who does not teach: with streams, what both pick alike is what a student is held against."""

    weights: str | None = None
    """As teacher.weights; default: there is none, and the teacher's own picks are the reference."""

    architecture: ArchitectureName | None = None
    """As teacher.architecture."""


class TaughtConfig(StudentConfig):
    """Who learns. Size and shape are a XiaoNet's; other networks have their own."""

    architecture: ArchitectureName = XIAONET
    """xiaonet, phasenet, phasenetlight, eqtransformer, xiaonetv5b, or module:Class for a network of your own."""

    arguments: dict[str, Any] = Field({})
    """What its class is made with: of your own network anything, of eqtransformer in_samples, lstm_blocks and
    drop_rate, of xiaonetv5b base_channels and output (sigmoid or softmax)."""

    pretrained: str | None = None
    """Weights of an earlier student that this one goes on from, which has the same size: its files, or, on the command
    line, what is recorded (distillation-1/3, runs:/ID, models:/NAME@ALIAS). Of another architecture as
    model.pretrained of picking. Default: fresh weights."""

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
    """A student, its teacher, the data and how the one learns from the other."""

    student: TaughtConfig = TaughtConfig()
    """Which network learns, of which size, and what it starts from."""

    freezing: FreezingConfig = FreezingConfig()
    """What of `student.pretrained` may change: the encoder is the way down, the backbone the way up."""

    teacher: TeacherConfig = TeacherConfig()
    """Who teaches."""

    teachers: tuple[str, ...] = ()
    """Several in its place, whose probabilities are averaged: weights as `teacher.weights` takes them. Each has its own
    order of components and classes, its own normalisation and its own length of windows."""

    second_teacher: SecondTeacherConfig = SecondTeacherConfig()
    """Who is asked beside the teacher about the streams' held-out hours."""

    loss: DistillationLossConfig = DistillationLossConfig()
    """Teacher against labels."""

    @model_validator(mode="after")
    def _one_way_to_name_teachers(self) -> DistillationConfig:
        if self.teachers and self.teacher.weights != TeacherConfig().weights:
            raise ValueError("teachers and teacher.weights are both given: either one teacher or a list")
        if len(set(self.teachers)) < len(self.teachers):
            raise ValueError(f"teachers: one is there twice in {', '.join(self.teachers)}")
        return self

    @model_validator(mode="after")
    def _nothing_random_rests(self) -> DistillationConfig:
        check_not_random(self.freezing, self.student.pretrained, "student.pretrained")
        return self

    @model_validator(mode="after")
    def _streams_have_a_teacher(self) -> DistillationConfig:
        if self.data.learns_from_streams and self.loss.alpha == 0:
            raise ValueError("loss.alpha=0 with data.streams: nobody would teach them, which have no labels")
        return self

    @model_validator(mode="after")
    def _a_second_teacher_is_another_one(self) -> DistillationConfig:
        if self.second_teacher.weights is None:
            return self
        if not self.data.continuous:
            raise ValueError("second_teacher.weights is given without data.streams: it is asked about streams alone")
        if self.second_teacher.weights in (self.teachers or (self.teacher.weights,)):
            raise ValueError(f"second_teacher.weights={self.second_teacher.weights} is the teacher: name another one")
        return self
