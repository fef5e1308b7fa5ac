"""Freezing schedules: which parts of a pretrained model rest, and from when on they learn, and how fast.

A model names its parts: `nn.Module`s under the names that a schedule knows, `encoder` and `backbone`. What is in
no part (a head) always learns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from torch import nn

from trainables.config import Config

ScheduleName = Literal["full", "frozen", "encoder", "progressive"]
_RESTING: dict[str, tuple[str, ...]] = {
    "full": (),
    "frozen": ("encoder", "backbone"),
    "encoder": ("encoder",),
    "progressive": ("encoder", "backbone"),
}


class FreezingConfig(Config):
    """Which parts of a pretrained network may change, and from when on."""

    schedule: ScheduleName = "full"
    """full: everything learns. frozen: encoder and backbone are frozen, the head learns. encoder: only the encoder is
    frozen. progressive: encoder and backbone are frozen until `unfreeze_at_epoch`, then learn at a lower rate."""

    unfreeze_at_epoch: int = Field(5, ge=2)
    """First epoch in which a progressive schedule lets everything learn."""

    unfrozen_lr_mult: float = Field(0.1, gt=0, le=1)
    """With a progressive schedule: unfrozen parts learn at the learning rate times this factor."""


def check_not_random(config: FreezingConfig, pretrained: str | None, field: str) -> None:
    """Nothing rests where nothing was pretrained. Raises ValueError, which names the setting `field` of the weights."""
    if config.schedule != "full" and not pretrained:
        raise ValueError(f"freezing.schedule={config.schedule} without {field}: random weights would be frozen")


@dataclass(frozen=True)
class Freezing:
    """A schedule over the parts of a model (each a tuple of its submodules' names)."""

    config: FreezingConfig
    parts: Mapping[str, tuple[str, ...]]

    def resting(self, epoch: int) -> tuple[str, ...]:
        """Names of the submodules that rest in this epoch."""
        if self.config.schedule == "progressive" and epoch >= self.config.unfreeze_at_epoch:
            return ()
        return self._ever_resting

    def check(self, fresh: Collection[str]) -> None:
        """None of the tensors that were not loaded rests. Raises ValueError."""
        if resting := [name for name in fresh if _inside(name, self._ever_resting)]:
            raise ValueError(
                f"freezing.schedule={self.config.schedule}: {resting[0]} is not in the pretrained weights, so random "
                "weights would be frozen"
            )

    def is_resting(self, epoch: int, *parts: str) -> bool:
        """Whether all of these parts rest."""
        return all(name in self.resting(epoch) for part in parts for name in self.parts[part])

    def freeze(self, model: nn.Module, epoch: int) -> bool:
        """Let exactly the learning parameters of this epoch have gradients; True where that changed anything."""
        resting, changed = self.resting(epoch), False
        for name, parameter in model.named_parameters():
            learns = not _inside(name, resting)
            changed |= parameter.requires_grad != learns
            parameter.requires_grad_(learns)
        return changed

    def rest(self, model: nn.Module, epoch: int) -> None:
        """Put what rests into eval mode: no dropout, no new running statistics. After `model.train()`."""
        for name in self.resting(epoch):
            model.get_submodule(name).eval()

    def groups(self, model: nn.Module, learning_rate: float, weight_decay: float = 0.0) -> list[dict[str, Any]]:
        """Parameter groups for an optimizer; biases and norms do not decay.

        The first groups always learn. What a progressive schedule unfreezes has groups of its own from the start, so
        that the optimizer and the rate's schedule keep them; what rests for ever is in none.
        """
        late = [p for name, p in model.named_parameters() if _inside(name, self._ever_resting)]
        learning = [p for name, p in model.named_parameters() if not _inside(name, self._ever_resting)]
        groups = _by_decay(learning, learning_rate, weight_decay)
        if self.config.schedule == "progressive":
            groups += _by_decay(late, learning_rate * self.config.unfrozen_lr_mult, weight_decay)
        return groups

    @property
    def _ever_resting(self) -> tuple[str, ...]:
        return tuple(name for part in _RESTING[self.config.schedule] for name in self.parts[part])


NOTHING_FROZEN = Freezing(FreezingConfig(), {})


def _by_decay(parameters: list[nn.Parameter], learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    if not weight_decay:
        return [{"params": parameters, "lr": learning_rate}]
    sides = (([p for p in parameters if p.ndim > 1], weight_decay), ([p for p in parameters if p.ndim <= 1], 0.0))
    return [{"params": side, "lr": learning_rate, "weight_decay": decay} for side, decay in sides if side]


def _inside(parameter: str, modules: tuple[str, ...]) -> bool:
    return any(parameter.startswith(f"{module}.") for module in modules)
