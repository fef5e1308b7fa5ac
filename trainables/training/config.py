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
    """Largest number of epochs; early stopping usually ends the training before."""

    batch_size: int = Field(64, ge=1)
    """Windows in a batch, over all workers together (32 to 128)."""

    accumulation: int = Field(1, ge=1)
    """Number of batches whose gradients are combined into one optimizer step: batch_size 32 with accumulation 2 takes
    the same step as batch_size 64, in less memory. Only batch normalisation then sees the smaller batch."""

    learning_rate: float = Field(1e-3, gt=0, le=1)
    """Learning rate of the optimizer (1e-4 to 1e-3; small students up to 1.6e-2)."""

    gradient_clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient; a larger gradient is scaled down to it."""

    monitor: str = "dev/loss"
    """Metric that decides which epoch has the best weights."""

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of the training step; auto takes bfloat16 if the CPU or GPU has it. Evaluation is always in
    fp32."""


class TrainingConfig(StepConfig):
    """Adam with plateau decay and early stopping, or along a cosine; the best weights are restored."""

    steps_per_epoch: int | None = Field(None, ge=1)
    """Optimizer steps in an epoch; default one pass over the traces, at least 30."""

    monitor: Literal["dev/f1", "dev/loss"] = "dev/f1"
    """Metric that decides on the best weights, on lowering the learning rate and on early stopping. dev/loss is biased
    against distillation: a student's loss may rise while its F1 still grows."""

    schedule: Literal["plateau", "cosine"] = "plateau"
    """How the learning rate falls. plateau: at each plateau. cosine: along half a cosine over all epochs, which then
    all run; patience, lr_factor and lr_patience are not used."""

    patience: int = Field(7, ge=1)
    """Number of epochs without improvement after which training ends (5 to 10)."""

    lr_factor: float = Field(0.5, gt=0, lt=1)
    """Factor by which the learning rate is multiplied at a plateau."""

    lr_patience: int = Field(3, ge=0)
    """Number of epochs without improvement before the learning rate falls."""


class CosineTrainingConfig(StepConfig):
    """AdamW along a cosine with warm-up; the best weights are restored."""

    weight_decay: float = Field(0.1, ge=0)
    """AdamW's weight decay, on all weights except those of biases and normalisation layers."""

    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the mean of gradients."""

    beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW's decay of the mean of squared gradients."""

    warmup_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of all steps over which the learning rate rises (warm-up); 0.1 if training is unsteady."""

    patience: int | None = Field(None, ge=1)
    """Number of epochs without improvement after which training ends; default: all epochs run."""

    limit_train_batches: int | None = Field(None, ge=1)
    """Largest number of optimizer steps in an epoch, to try things out quickly."""

    limit_dev_batches: int | None = Field(None, ge=1)
    """Largest number of dev batches of each worker, to try things out quickly; scores are then those of a part of
    dev."""


class SeedsConfig(Config):
    """A seed for each part of a training that chance decides, to see which part makes results differ (Bouthillier et
    al. 2021, arXiv:2103.03098). Default: each follows `seed`."""

    weights: int | None = Field(None, ge=0, lt=2**32)
    """Seed for the fresh weights; default: `seed`."""

    order: int | None = Field(None, ge=0, lt=2**32)
    """Seed for the order in which the windows of an epoch come; the windows themselves stay the same. Default:
    `seed`."""

    windows: int | None = Field(None, ge=0, lt=2**32)
    """Seed for where in its trace each window lies and how it is augmented; traces come in the same order. Default:
    `seed`."""

    dropout: int | None = Field(None, ge=0, lt=2**32)
    """Seed for what dropout leaves out; default: `seed`."""


class PickerTrainingConfig(Config):
    """What the training of any picker needs; the trainables add their own fields."""

    seed: int = Field(0, ge=0)
    """Seed for weights, order and cut of the windows, augmentation and dropout."""

    seeds: SeedsConfig = SeedsConfig()
    """Seeds of their own for fresh weights, order of windows, cut of windows and dropout, where they should not follow
    `seed`."""

    data: DataConfig
    """The data set and its windows."""

    training: TrainingConfig = TrainingConfig()
    """Optimizer, schedule and stopping."""

    picks: PickConfig = PickConfig()
    """How picks are found and matched in evaluation."""

    export: ExportConfig = ExportConfig()
    """ONNX files, INT8 and the gate that accepts or refuses INT8."""

    def seed_of(self, source: Literal["weights", "windows", "dropout"]) -> int:
        """Its own one, else the seed of all."""
        own: int | None = getattr(self.seeds, source)
        return self.seed if own is None else own
