"""Picking: train or transfer a picker on labels alone.

This is how a teacher is made (PhaseNet or EQTransformer from scratch or from other weights), what a distilled student
is compared with (XiaoNet without a teacher), and how a network of your own is trained.
"""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from trainables import metrics
from trainables.config import Config
from trainables.data.batches import Batch
from trainables.data.windows import cache_folder
from trainables.export.calibrated import check_calibratable
from trainables.export.cost import architecture_cost, network_cost
from trainables.export.own import try_own
from trainables.models.adapters import PickerAdapter
from trainables.models.architectures import PHASENET, XIAONET, ArchitectureName, build, parts_of
from trainables.models.interface import Interface
from trainables.models.own_network import OwnNetwork
from trainables.models.xiaonet import StudentConfig, XiaoNet
from trainables.run import LocalRun, Run
from trainables.training.config import PickerTrainingConfig
from trainables.training.freezing import Freezing, FreezingConfig, check_not_random
from trainables.training.hints import hints
from trainables.training.loop import Losses, fit
from trainables.training.losses import task_loss
from trainables.training.picker import PickerTask, check_data, finish, start
from trainables.training.rehearsal import Pace, picker_pace


class PickerModelConfig(Config):
    """Which network is trained, and what it starts from."""

    architecture: ArchitectureName = PHASENET
    """Network to train: phasenet, phasenetlight or eqtransformer (as a teacher), xiaonet (a student without teacher,
    its size set by `student`), xiaonetv5b (of the public XiaoNet repository), or module:Class for a network of your
    own."""

    arguments: dict[str, Any] = Field({})
    """Arguments for the network's class: any for a network of your own; in_samples, lstm_blocks and drop_rate for
    eqtransformer; base_channels and output (sigmoid or softmax) for xiaonetv5b."""

    pretrained: str | None = None
    """Weights to start from: a pair of SeisBench files, a state dict (.pth), a SeisBench weight name, or network.pt of
    a network of your own. They bring their own architecture and normalisation. Default: random weights."""


class PickingConfig(PickerTrainingConfig):
    """A picker, its data, and how it is trained."""

    model: PickerModelConfig = PickerModelConfig()
    """Network to train, and the weights it starts from."""

    student: StudentConfig = StudentConfig()
    """Size and shape of a XiaoNet that starts from random weights."""

    freezing: FreezingConfig = FreezingConfig()
    """Which parts of the network of `model.pretrained` may change; in a U-Net the encoder is the way down, the backbone
    the way up."""


def preflight(config: PickingConfig) -> dict[str, str]:
    """Check data, network and weights before any work starts; returns facts for the record. Raises ValueError."""
    if config.data.continuous:
        raise ValueError(
            "data.streams: picking learns from labels, which streams do not have; in distillation a teacher labels them"
        )
    facts = check_data(config.data)
    picker = build_picker(config)
    parts_of(config.model.architecture, picker, config.freezing.schedule)
    check_not_random(config.freezing, config.model.pretrained, "model.pretrained")
    if config.export.calibrate:
        check_calibratable(picker, "model")
    return facts | (try_own(picker, "model", config.export.enabled) if isinstance(picker, OwnNetwork) else {})


def train(config: PickingConfig, run: Run) -> None:
    """Train on labels until early stopping, then export the best weights."""
    cost = _cost(config)
    state = start(lambda: build_picker(config), config, run, lambda picker: _freezing(config, picker))
    interface: Interface = state.model.interface  # type: ignore[assignment]

    def losses(logits_BCT: Tensor, batch: Batch) -> Losses:
        return label_losses(logits_BCT, batch, interface)

    task = PickerTask.open(config, run, state.model, losses)
    freezing = _freezing(config, state.model)
    seed = config.seed_of("dropout")
    fit(state, task, config.training, seed, run, constants=cost, advise=hints, freezing=freezing)
    finish(state, task, docstring=_describe(config))


def network(config: PickingConfig) -> nn.Module:
    """What is trained, for its size."""
    return build_picker(config)


def rehearse(config: PickingConfig, run: LocalRun) -> Pace:
    """How long a training takes on this machine, by one step of it. Raises ValueError."""
    state = start(lambda: build_picker(config), config, run, lambda picker: _freezing(config, picker))
    interface: Interface = state.model.interface  # type: ignore[assignment]
    return picker_pace(config, run, state, lambda logits_BCT, batch: label_losses(logits_BCT, batch, interface))


def build_picker(config: PickingConfig) -> XiaoNet | PickerAdapter:
    """The network that `config.model` names. Raises ValueError where its weights cannot be used."""
    return build(config.model.architecture, config.model.arguments, config.student, config.model.pretrained)


def label_losses(logits_BCT: Tensor, batch: Batch, interface: Interface) -> Losses:
    """The loss on labels, under both names that the record knows it by."""
    task = task_loss(logits_BCT, batch, interface)
    return {metrics.TRAIN_LOSS: task, metrics.TASK_LOSS: task}


def _cost(config: PickingConfig) -> dict[str, float]:
    """What the network costs; of a XiaoNet whose weights bring its size the number of parameters alone."""
    if config.model.architecture == XIAONET and not config.model.pretrained:
        return architecture_cost(config.student, cache_folder(config.data))
    picker = build_picker(config)
    if isinstance(picker, XiaoNet):
        return {metrics.PARAMETERS: float(sum(parameter.numel() for parameter in picker.parameters()))}
    return network_cost(picker, cache_folder(config.data), config.export.enabled)


def _freezing(config: PickingConfig, picker: nn.Module) -> Freezing:
    return Freezing(config.freezing, parts_of(config.model.architecture, picker, config.freezing.schedule))


def _describe(config: PickingConfig) -> str:
    origin = f"transferred from {config.model.pretrained}" if config.model.pretrained else "trained from scratch"
    return f"{config.model.architecture} {origin} on {config.data.named}, seed {config.seed}"
