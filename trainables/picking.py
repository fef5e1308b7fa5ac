"""Picking: train or transfer a picker on labels alone.

This is how a teacher is made (PhaseNet from scratch or from other weights) and what a distilled student is
compared with (XiaoNet without a teacher).
"""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

from typing import Literal

from seisbench.models import PhaseNet
from torch import Tensor, nn

from trainables import metrics
from trainables.config import Config
from trainables.data.batches import Batch
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ
from trainables.data.windows import cache_folder
from trainables.export.cost import architecture_cost
from trainables.models.teacher import PhaseNetAdapter, load_phasenet
from trainables.models.weights import load_weights
from trainables.models.xiaonet import CLASSES, StudentConfig, XiaoNet, build_student
from trainables.run import Run
from trainables.training.config import PickerTrainingConfig
from trainables.training.freezing import Freezing, FreezingConfig
from trainables.training.hints import hints
from trainables.training.loop import Losses, fit
from trainables.training.losses import soft_cross_entropy
from trainables.training.picker import PickerTask, check_data, finish, start, student_logits

XIAONET_PARTS = {"encoder": ("encoder",), "backbone": ("bottleneck", "decoder")}
PHASENET_PARTS = {
    "encoder": ("phasenet.inc", "phasenet.in_bn", "phasenet.down_branch"),
    "backbone": ("phasenet.up_branch",),
}
"""Submodules that a freezing schedule knows as encoder and backbone."""


class PickerModelConfig(Config):
    """Which network, and what it starts from."""

    architecture: Literal["phasenet", "xiaonet"] = "phasenet"
    """PhaseNet (a teacher) or XiaoNet (a student without teacher, sized by `student`)."""

    pretrained: str | None = None
    """Weights to start from: a file pair, or for PhaseNet a SeisBench weight name. Brings its own architecture
    and normalisation. Default: random weights."""


class PickingConfig(PickerTrainingConfig):
    """A picker, the data and how it is trained."""

    model: PickerModelConfig = PickerModelConfig()
    """Which network."""

    student: StudentConfig = StudentConfig()
    """Size and shape of a XiaoNet from random weights."""

    freezing: FreezingConfig = FreezingConfig()
    """What of `model.pretrained` may change: the encoder is the way down, the backbone the way up."""


def preflight(config: PickingConfig) -> dict[str, str]:
    """Check data and weights before any work starts; returns facts for the record. Raises ValueError."""
    facts = check_data(config.data)
    build_picker(config)
    if config.freezing.schedule != "full" and not config.model.pretrained:
        raise ValueError(
            f"freezing.schedule={config.freezing.schedule} without model.pretrained: random weights would rest"
        )
    return facts


def train(config: PickingConfig, run: Run) -> None:
    """Train on labels until early stopping, then export the best weights."""
    is_xiaonet = config.model.architecture == "xiaonet"
    freezing = Freezing(config.freezing, XIAONET_PARTS if is_xiaonet else PHASENET_PARTS)
    task = PickerTask.open(config, run, student_logits if is_xiaonet else phasenet_logits, label_losses)
    state = start(lambda: build_picker(config), config, run, freezing)
    cost = {metrics.PARAMETERS: float(sum(parameter.numel() for parameter in state.model.parameters()))}
    if is_xiaonet and not config.model.pretrained:
        cost = architecture_cost(config.student, cache_folder(config.data))
    fit(state, task, config.training, config.seed, run, constants=cost, advise=hints, freezing=freezing)
    finish(state, task, docstring=_describe(config))


def build_picker(config: PickingConfig) -> nn.Module:
    """The network that `config.model` names. Raises ValueError where its weights cannot be used."""
    pretrained = config.model.pretrained
    if config.model.architecture == "xiaonet":
        return load_weights(XiaoNet, pretrained, "model.pretrained") if pretrained else build_student(config.student)
    if pretrained:
        return PhaseNetAdapter(load_phasenet(pretrained, field="model.pretrained"))
    return PhaseNetAdapter(
        PhaseNet(
            phases=CLASSES,
            component_order=COMPONENT_ORDER,
            sampling_rate=SAMPLING_RATE_HZ,
            norm="peak",
            norm_detrend=True,
        )
    )


def label_losses(logits_BCT: Tensor, batch: Batch) -> Losses:
    """The loss on labels, under both names that the record knows it by."""
    task = soft_cross_entropy(logits_BCT, batch.labels_BCT)
    return {metrics.TRAIN_LOSS: task, metrics.TASK_LOSS: task}


def phasenet_logits(phasenet: nn.Module, batch: Batch) -> Tensor:
    """Logits (B, C, T) of a PhaseNet behind its adapter, which normalises raw windows by itself."""
    return phasenet(batch.raw_BXT)


def _describe(config: PickingConfig) -> str:
    origin = f"transferred from {config.model.pretrained}" if config.model.pretrained else "trained from scratch"
    return f"{config.model.architecture} {origin} on {config.data.dataset}, seed {config.seed}"
