"""Pretraining: an encoder and a backbone learn waveforms by contrast, without labels, for fine-tuning.

As wav2vec2 (Baevski et al. 2020, arXiv:2006.11477): find the quantized target of a masked token among those of other
masked tokens. `train(PretrainingConfig(...), LocalRun(folder))` runs it without any engine.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from torch import nn

from trainables import metrics
from trainables.atomic import whole_folder
from trainables.config import Config
from trainables.data.waveform_sources import WaveformDataConfig, check_sources
from trainables.data.waveforms import Waveforms
from trainables.export.history import PRETRAINING_SCORES, training_history
from trainables.foreshock_extra import require_foreshock
from trainables.models.contrastive import ContrastiveConfig, ContrastiveModel
from trainables.models.pretrained import WEIGHTS, save_encoder
from trainables.models.representation_config import RepresentationConfig
from trainables.run import ARTIFACTS, Run
from trainables.training.config import CosineTrainingConfig
from trainables.training.loop import check_shares, checkpoint, final_record, fit, go_on, seeded
from trainables.training.pretraining import ContrastiveTask
from trainables.training.state import TrainingState, cosine_state


class PretrainingTrainingConfig(CosineTrainingConfig):
    """AdamW along a cosine with warm-up."""

    epochs: int = Field(30, ge=1)
    """Passes over the waveforms; one pass has as many random windows as fit into the waveforms side by side."""

    batch_size: int = Field(32, ge=1)
    """Windows in a batch, over all workers together."""

    learning_rate: float = Field(1e-3, gt=0, le=1)
    """AdamW's learning rate at its peak."""

    beta2: float = Field(0.95, ge=0, lt=1)
    """AdamW's decay of the mean of squared gradients; low, as contrastive gradients change quickly."""

    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of all steps over which the learning rate rises (warm-up)."""

    monitor: Literal["dev/loss", "dev/accuracy"] = "dev/loss"
    """Metric that decides which epoch has the best weights."""


class PretrainingConfig(Config):
    """Waveforms, a model, and how it is pretrained."""

    seed: int = Field(0, ge=0)
    """Seed for weights, windows, masks and the quantizer's noise."""

    data: WaveformDataConfig
    """Waveforms to learn from; their labels are not used."""

    model: RepresentationConfig = RepresentationConfig()
    """Size and kind of encoder and backbone."""

    contrast: ContrastiveConfig = ContrastiveConfig()
    """Masks, codebook and loss of contrastive pretraining."""

    training: PretrainingTrainingConfig = PretrainingTrainingConfig()
    """Optimizer and schedule."""

    @model_validator(mode="before")
    @classmethod
    def _data_say_what_is_missing(cls, given: Any) -> Any:
        return {"data": {}, **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _window_holds_masks(self) -> PretrainingConfig:
        if self.data.window_samples < self.least_samples:
            raise ValueError(
                f"data.window_samples={self.data.window_samples} are too few to mask two spans of "
                f"{self.contrast.mask_length} tokens of {self.samples_per_token} samples: take {self.least_samples}"
            )
        return self

    @property
    def samples_per_token(self) -> int:
        return 2**self.model.conv_layers

    @property
    def least_samples(self) -> int:
        """The shortest trace in which two spans can be masked."""
        return 2 * self.contrast.mask_length * self.samples_per_token


def preflight(config: PretrainingConfig) -> dict[str, str]:
    """Check the waveforms before any work; returns facts for the record. Raises ValueError."""
    require_foreshock()
    return check_sources(config.data, config.least_samples)


def train(config: PretrainingConfig, run: Run) -> None:
    """Pretrain to the last epoch, then write the best encoder and backbone for `model.pretrained`."""
    check_shares(config.training, run)
    model = seeded(lambda: ContrastiveModel(config.model, config.contrast), config.seed, run)
    assert isinstance(model, ContrastiveModel)
    train_windows, dev_windows = Waveforms.open(config.data, config.least_samples, run.device)
    task = ContrastiveTask(
        train_windows, dev_windows, config.training, config.contrast, config.samples_per_token, config.seed, run
    )
    state = cosine_state(model, config.training, task.num_steps())
    state.tags["model"] = f"{config.model.backbone}, D {config.model.d_model}"
    go_on(state, run)
    cost = {metrics.PARAMETERS: float(sum(parameter.numel() for parameter in model.parameters()))}
    fit(state, task, config.training, config.seed, run, constants=cost)
    _finish(state, model, run)


def network(config: PretrainingConfig) -> nn.Module:
    """What is trained, for its size."""
    return ContrastiveModel(config.model, config.contrast)


def _finish(state: TrainingState, model: ContrastiveModel, run: Run) -> None:
    final = final_record(state)
    if run.rank == 0:
        with whole_folder(run.workdir / "training" / ARTIFACTS) as folder:
            save_encoder(model, folder / WEIGHTS)
            history = folder / "training_history.png"
            training_history(state.history, history, state.stopping.best_epoch, PRETRAINING_SCORES)
    run.report(final, checkpoint(state, run))
