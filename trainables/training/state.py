"""Everything a training must remember between two epochs, and its checkpoint on disk.

Random numbers need no memory: windows are keyed by (seed, epoch, position) and torch's generators are seeded
anew at the start of each epoch, so an epoch draws the same whether or not the run was interrupted before it.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from trainables.run import TAGS
from trainables.training.config import CosineTrainingConfig, TrainingConfig
from trainables.training.freezing import NOTHING_FROZEN, Freezing
from trainables.training.schedules import EpochCosine, Plateau, RateSchedule, WarmupCosine
from trainables.training.stopping import EarlyStopping

STATE = "state.pt"
HISTORY = "history.json"


@dataclass
class TrainingState:
    """Model, optimizer, schedule, early stopping, best weights and the history of reports."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: RateSchedule
    stopping: EarlyStopping
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    def end_epoch(self, record: dict[str, float], monitored: float) -> None:
        """Take an epoch's report into account: best weights, learning rate, patience."""
        self.history.append(record)
        if self.stopping.update(monitored, self.epochs_done):
            self.best_weights = copy.deepcopy(self.model.state_dict())
        self.schedule.after_epoch(monitored)

    def restore_best(self) -> dict[str, float]:
        """Put the best weights back; returns the report of their epoch."""
        self.model.load_state_dict(self.best_weights)
        return self.history[self.stopping.best_epoch - 1]

    def save(self, folder: Path) -> Path:
        """Write a checkpoint folder, which `load` reads; returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.optimizer.defaults["lr"],
            "schedule": self.schedule.state_dict(),
            "stopping": self.stopping.state_dict(),
            "best_weights": self.best_weights,
        }
        torch.save(parts, folder / STATE)
        (folder / HISTORY).write_text(json.dumps(self.history))
        (folder / TAGS).write_text(json.dumps(self.tags, indent=2))
        return folder

    def load(self, folder: Path, device: torch.device) -> None:
        """Go on from a checkpoint folder that `save` wrote, perhaps with other settings: the learning rate is the
        configured one, as often lowered as it was there."""
        parts = torch.load(folder / STATE, map_location=device, weights_only=True)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        for group in self.optimizer.param_groups:
            group["lr"] *= self.optimizer.defaults["lr"] / parts["learning_rate"]
        self.schedule.load_state_dict(parts["schedule"])
        self.stopping.load_state_dict(parts["stopping"])
        self.best_weights = parts["best_weights"]
        self.history = json.loads((folder / HISTORY).read_text())
        self.tags = json.loads((folder / TAGS).read_text()) | self.tags


def fresh_state(model: nn.Module, config: TrainingConfig, freezing: Freezing = NOTHING_FROZEN) -> TrainingState:
    """State before the first epoch: Adam, plateau decay and early stopping, or a cosine over all epochs."""
    mode = _mode(config.monitor)
    optimizer = torch.optim.Adam(freezing.groups(model, config.learning_rate), lr=config.learning_rate)
    if config.schedule == "cosine":
        return TrainingState(
            model, optimizer, EpochCosine(optimizer, config.epochs), EarlyStopping(config.epochs, mode)
        )
    schedule = Plateau(optimizer, mode=mode, factor=config.lr_factor, patience=config.lr_patience)
    return TrainingState(model, optimizer, schedule, EarlyStopping(config.patience, mode))


def cosine_state(
    model: nn.Module, config: CosineTrainingConfig, steps_per_epoch: int, freezing: Freezing = NOTHING_FROZEN
) -> TrainingState:
    """State before the first epoch: AdamW, a cosine over all steps, early stopping where it is asked for."""
    optimizer = torch.optim.AdamW(
        freezing.groups(model, config.learning_rate, config.weight_decay),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
    )
    schedule = WarmupCosine(optimizer, steps_per_epoch * config.epochs, config.warmup_fraction)
    return TrainingState(
        model, optimizer, schedule, EarlyStopping(config.patience or config.epochs, _mode(config.monitor))
    )


def _mode(monitor: str) -> Literal["max", "min"]:
    return "min" if monitor.endswith("loss") else "max"
