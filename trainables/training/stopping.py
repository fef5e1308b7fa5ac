"""Early stopping on the monitored metric, and the memory of the best epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass
class EarlyStopping:
    """Counts epochs without improvement of a metric that `mode` says is to be maximised or minimised."""

    patience: int
    mode: Literal["max", "min"]
    best: float | None = None
    best_epoch: int = 0
    epochs_without: int = 0

    def update(self, value: float, epoch: int) -> bool:
        """Take an epoch's value; True where it is the best so far. Any number is better than what is none (NaN)."""
        if self.best is None or math.isnan(self.best):
            better = self.best is None or not math.isnan(value)
        else:
            better = value > self.best if self.mode == "max" else value < self.best
        if better:
            self.best, self.best_epoch, self.epochs_without = value, epoch, 0
        else:
            self.epochs_without += 1
        return better

    @property
    def stop(self) -> bool:
        return self.epochs_without >= self.patience

    def state_dict(self) -> dict[str, float | int | str | None]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, float | int | None]) -> None:
        """Take over the counts; patience and mode stay as configured."""
        for name in ("best", "best_epoch", "epochs_without"):
            setattr(self, name, state[name])
