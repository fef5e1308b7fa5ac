"""How the learning rate changes: at a plateau, epoch by epoch, or along a cosine, by steps or by epochs."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau


class RateSchedule(Protocol):
    """Sets the rates of an optimizer's groups; each group keeps its ratio to the others."""

    def after_step(self) -> None:
        """An optimizer step is done."""

    def after_epoch(self, monitored: float) -> None:
        """An epoch is done, with this value of the monitored metric."""

    def state_dict(self) -> dict[str, Any]:
        """What it has counted; factors, patience and rates are settings, which a checkpoint does not bring."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Plateau(ReduceLROnPlateau):
    """Lowers the rates by a factor after epochs without improvement."""

    def state_dict(self) -> dict[str, Any]:
        counted = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        return {name: value for name, value in super().state_dict().items() if name in counted}

    def after_step(self) -> None:
        """Nothing changes within an epoch."""

    def after_epoch(self, monitored: float) -> None:
        self.step(monitored)


class _CountingSchedule(LambdaLR):
    """A checkpoint brings how far it is; the rates are settings."""

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "_step_count": self._step_count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class EpochCosine(_CountingSchedule):
    """Half a cosine over all epochs (Loshchilov and Hutter 2017, arXiv:1608.03983): the first has the whole rate, after
    the last it would be 0."""

    def __init__(self, optimizer: torch.optim.Optimizer, num_epochs: int) -> None:
        super().__init__(optimizer, lambda epoch: 0.5 * (1 + math.cos(math.pi * min(epoch / num_epochs, 1.0))))

    def after_step(self) -> None:
        """Nothing changes within an epoch."""

    def after_epoch(self, monitored: float) -> None:
        self.step()


class WarmupCosine(_CountingSchedule):
    """Linear warm-up over a share of all steps, then half a cosine down to 0 at the last one."""

    def __init__(self, optimizer: torch.optim.Optimizer, num_steps: int, warmup_fraction: float) -> None:
        warmup_steps = round(num_steps * warmup_fraction)

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / (warmup_steps + 1)
            progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

        super().__init__(optimizer, factor)

    def after_step(self) -> None:
        self.step()

    def after_epoch(self, monitored: float) -> None:
        """It follows steps alone."""
