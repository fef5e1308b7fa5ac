"""Settings of a picker's training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.config import Config
from trainables.data.config import DataConfig
from trainables.evaluation.picks import PickConfig
from trainables.export.gate import ExportConfig


class StepConfig(Config):
    """What the epoch loop needs; the kinds of training add their optimizer and schedule."""

    epochs: int = Field(50, ge=1)
    """Upper bound of epochs; early stopping usually ends before."""

    batch_size: int = Field(64, ge=1)
    """Windows of a batch, over all workers together (32 to 128)."""

    accumulation: int = Field(1, ge=1)
    """Batches whose gradients make one optimizer step: batch_size 32 with accumulation 2 takes the step of
    batch_size 64 in less memory. Batch normalisation alone then sees the smaller batch."""

    learning_rate: float = Field(1e-3, gt=0, le=1)
    """The optimizer's rate (1e-4 to 1e-3; small students up to 1.6e-2)."""

    gradient_clip: float = Field(1.0, gt=0)
    """Upper bound of the gradient's norm."""

    monitor: str = "dev/loss"
    """What decides on best weights."""

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the training step; auto takes bfloat16 where the processor or GPU has it. Evaluation is fp32."""


class TrainingConfig(StepConfig):
    """Adam with plateau decay and early stopping, or along a cosine; the best weights are restored."""

    steps_per_epoch: int | None = Field(None, ge=1)
    """Optimizer steps of an epoch; default one pass over the traces, at least 30."""

    monitor: Literal["dev/f1", "dev/loss"] = "dev/f1"
    """What decides on best weights, rate decay and early stopping. dev/loss is biased against distillation:
    a student's loss may rise while its F1 still grows."""

    schedule: Literal["plateau", "cosine"] = "plateau"
    """How the rate falls: at each plateau, or along half a cosine over all epochs, which then all run: patience,
    lr_factor and lr_patience are not used."""

    patience: int = Field(7, ge=1)
    """Epochs without improvement before training ends (5 to 10)."""

    lr_factor: float = Field(0.5, gt=0, lt=1)
    """Factor on the rate at a plateau."""

    lr_patience: int = Field(3, ge=0)
    """Epochs without improvement before the rate falls."""


class CosineTrainingConfig(StepConfig):
    """AdamW along a cosine with warm-up; the best weights are restored."""

    weight_decay: float = Field(0.1, ge=0)
    """Of all weights but biases and norms."""

    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's memory of gradients."""

    beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW's memory of their squares."""

    warmup_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of all steps over which the rate rises; 0.1 where training is unsteady."""

    patience: int | None = Field(None, ge=1)
    """Epochs without improvement before training ends; default: all epochs run."""

    limit_train_batches: int | None = Field(None, ge=1)
    """Optimizer steps of an epoch at most, for a debug run."""

    limit_dev_batches: int | None = Field(None, ge=1)
    """Dev batches of each worker at most, for a debug run; its scores are those of a part of dev."""


class SeedsConfig(Config):
    """What chance decides about a training, each with a seed of its own, to see which of it makes results differ
    (Bouthillier et al. 2021, arXiv:2103.03098). Default: all follow `seed`."""

    weights: int | None = Field(None, ge=0, lt=2**32)
    """Of fresh weights."""

    order: int | None = Field(None, ge=0, lt=2**32)
    """Of the order in which the windows of an epoch come; the windows stay the same."""

    windows: int | None = Field(None, ge=0, lt=2**32)
    """Of where in its trace each window lies, and how it is augmented; traces come in the same order."""

    dropout: int | None = Field(None, ge=0, lt=2**32)
    """Of what dropout leaves out."""


class PickerTrainingConfig(Config):
    """What the training of any picker needs; the trainables add their own fields."""

    seed: int = Field(0, ge=0)
    """Seed of weights, windows and dropout."""

    seeds: SeedsConfig = SeedsConfig()
    """Seeds of single ones of these."""

    data: DataConfig
    """The data set and its windows."""

    training: TrainingConfig = TrainingConfig()
    """Optimizer, schedule and stopping."""

    picks: PickConfig = PickConfig()
    """How picks are found and matched in evaluation."""

    export: ExportConfig = ExportConfig()
    """ONNX, INT8 and the gate."""

    def seed_of(self, source: Literal["weights", "windows", "dropout"]) -> int:
        """Its own one, else the seed of all."""
        own: int | None = getattr(self.seeds, source)
        return self.seed if own is None else own
