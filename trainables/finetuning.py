"""Fine-tuning: when in an earthquake sequence was a waveform recorded?

A pretrained encoder and backbone (or random ones) learn to tell foreshocks from aftershocks, as the xLSTM U-Net of
the public SeisLM work does. `train(FinetuningConfig(...), LocalRun(folder))` runs it without any engine.
"""

# B batch, D width, K class, L token, N window, X component (E, N, Z), T time sample

from __future__ import annotations

import logging
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from trainables import metrics
from trainables.config import Config
from trainables.data.sequence_batches import SequenceData, check_data
from trainables.data.sequence_classes import class_names
from trainables.data.sequence_config import SequenceDataConfig
from trainables.evaluation.counts import COUNTS_FILE, write_counts
from trainables.evaluation.event_scores import classification_intervals
from trainables.export.classifier import export_classifier
from trainables.foreshock_extra import require_foreshock
from trainables.models.classifier import Classifier, HeadConfig
from trainables.models.pretrained import load_pretrained
from trainables.models.representation import PARTS
from trainables.models.representation_config import RepresentationConfig
from trainables.run import ARTIFACTS, Run
from trainables.training.classification import ClassificationTask
from trainables.training.config import CosineTrainingConfig
from trainables.training.freezing import Freezing, FreezingConfig
from trainables.training.loop import check_shares, checkpoint, final_record, fit, go_on, seeded
from trainables.training.state import TrainingState, cosine_state

logger = logging.getLogger("trainables")


class FinetuningModelConfig(RepresentationConfig):
    """Encoder and backbone, and what they start from."""

    pretrained: str | None = None
    """Weights to start from: folder or file of a checkpoint of pretraining, or a Lightning checkpoint of the public
    xLSTM repository. The command line also takes a sweep or its trial (pretraining-1/0), runs:/ID and
    models:/NAME@ALIAS."""

    start: Literal["pretrained", "random"] | None = None
    """pretrained: start from the weights of `pretrained`. random: start from random weights although `pretrained` is
    given, for comparison. Default: pretrained if weights are given."""

    @model_validator(mode="after")
    def _has_what_it_starts_from(self) -> FinetuningModelConfig:
        if self.start == "pretrained" and not self.pretrained:
            raise ValueError("start=pretrained needs pretrained weights: give model.pretrained=FOLDER_OR_FILE")
        return self

    @property
    def starts_from(self) -> str | None:
        """The checkpoint to start from, None for random weights."""
        return None if self.start == "random" else self.pretrained


class FinetuningTrainingConfig(CosineTrainingConfig):
    """AdamW along a cosine, as published."""

    epochs: int = Field(15, ge=1)
    """Passes over the training windows."""

    batch_size: int = Field(16, ge=1)
    """Windows in a batch, over all workers together; smaller if memory is short."""

    learning_rate: float = Field(4e-4, gt=0, le=1)
    """AdamW's learning rate at its peak."""

    monitor: Literal["dev/macro_f1", "dev/accuracy", "dev/loss"] = "dev/macro_f1"
    """Metric that decides which epoch has the best weights."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes; 0.1 against overfitting."""

    l2_to_pretrained: float = Field(0.0, ge=0)
    """Weight of a penalty on half the squared distance from the pretrained weights, which keeps them near."""


class FinetuningConfig(Config):
    """An earthquake sequence, its classes, a model, and how it is fine-tuned."""

    seed: int = Field(0, ge=0)
    """Seed for fresh weights, the order of windows and dropout."""

    data: SequenceDataConfig
    """The sequence and its classes."""

    model: FinetuningModelConfig = FinetuningModelConfig()
    """Size and kind of encoder and backbone, and the weights they start from."""

    head: HeadConfig = HeadConfig()
    """What turns tokens into classes."""

    freezing: FreezingConfig = FreezingConfig()
    """Which parts of the pretrained model learn, and from when on."""

    training: FinetuningTrainingConfig = FinetuningTrainingConfig()
    """Optimizer and schedule."""

    @model_validator(mode="after")
    def _nothing_random_rests(self) -> FinetuningConfig:
        if self.freezing.schedule != "full" and not self.model.starts_from:
            raise ValueError(
                f"freezing.schedule={self.freezing.schedule} without pretrained weights would freeze random ones; "
                "give model.pretrained=FOLDER_OR_FILE"
            )
        return self


def preflight(config: FinetuningConfig) -> dict[str, str]:
    """Check data and pretrained weights before any work; returns facts for the record. Raises ValueError."""
    require_foreshock()
    facts = check_data(config.data)
    if config.model.starts_from:
        loaded = load_pretrained(build_classifier(config), config.model.starts_from)
        facts["pretrained"] = str(loaded.file)
    return facts


def train(config: FinetuningConfig, run: Run) -> None:
    """Tune to the last epoch, then write confusion matrix, activation maps and weights of the best one."""
    check_shares(config.training, run)
    freezing = Freezing(config.freezing, {part: (part,) for part in PARTS})
    model = seeded(lambda: build_classifier(config), config.seed, run)
    assert isinstance(model, Classifier)
    tags = describe(config)
    if config.model.starts_from:
        loaded = load_pretrained(model, config.model.starts_from)
        logger.info("%s", loaded.summary())
        tags["pretrained"] = loaded.summary()
    task = ClassificationTask(
        SequenceData.open(config.data, run.device),
        config.training,
        config.seed,
        config.data.num_classes,
        run,
        freezing,
        anchors=_anchors(model, config),
        label_smoothing=config.training.label_smoothing,
        l2_to_pretrained=config.training.l2_to_pretrained,
    )
    state = cosine_state(model, config.training, task.num_steps(), freezing)
    state.tags |= tags
    go_on(state, run)
    cost = {metrics.PARAMETERS: float(sum(parameter.numel() for parameter in model.parameters()))}
    fit(state, task, config.training, config.seed, run, constants=cost, freezing=freezing)
    _finish(state, model, task, config, run)


def network(config: FinetuningConfig) -> nn.Module:
    """What is trained, for its size."""
    return build_classifier(config)


def build_classifier(config: FinetuningConfig) -> Classifier:
    """A classifier with fresh weights from torch's global generator."""
    return Classifier(config.model, config.head, config.data.num_classes)


def describe(config: FinetuningConfig) -> dict[str, str]:
    """Facts by which trials are told apart and compared."""
    return {
        "num_classes": str(config.data.num_classes),
        "few_shot_fraction": f"{config.data.few_shot_fraction:g}",
        "model": f"{config.model.backbone}, D {config.model.d_model}",
        "schedule": config.freezing.schedule if config.model.starts_from else "random init",
    }


def _anchors(model: Classifier, config: FinetuningConfig) -> dict[str, torch.Tensor]:
    """Pretrained weights that the L2 pull holds on to."""
    if not (config.training.l2_to_pretrained and config.model.starts_from):
        return {}
    return {name: p.detach().clone() for name, p in model.named_parameters() if name.startswith(PARTS)}


def _finish(
    state: TrainingState, model: Classifier, task: ClassificationTask, config: FinetuningConfig, run: Run
) -> None:
    final = final_record(state)
    model.eval()
    confusion_CK = task.confusion(model)  # of the best weights; all workers count
    if run.rank == 0:
        export_classifier(
            model,
            dev=task.data.dev,
            confusion_CK=confusion_CK,
            names=class_names(config.data.num_classes),
            history=state.history,
            best_epoch=state.stopping.best_epoch,
            settings=config.model_dump(mode="json"),
            folder=(folder := run.workdir / "training" / ARTIFACTS),
        )
        events = task.count_by_event(model)
        final |= classification_intervals(events, "dev")
        write_counts(folder / COUNTS_FILE, {"dev": events})
    run.report(final, checkpoint(state, run))
