"""What may vary when a picker learns from labels alone: the baseline of a distilled student."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.sweep import Sweep
from trainables import metrics

if TYPE_CHECKING:
    import optuna


def space(trial: optuna.Trial) -> None:
    """A XiaoNet's size and its optimizer. Names are the dotted keys of `PickingConfig`."""
    if trial.suggest_categorical("model.architecture", ["xiaonet", "phasenet"]) == "xiaonet":
        trial.suggest_categorical("student.base_channels", [4, 8, 12, 16, 24, 32])
        trial.suggest_categorical("student.pooling", [2, 4])
        trial.suggest_float("student.dropout", 0.0, 0.3)
    trial.suggest_float("training.learning_rate", 1e-4, 3e-3, log=True)
    trial.suggest_categorical("training.batch_size", [32, 64, 128])


def picking() -> Sweep:
    return Sweep(
        name="picking",
        trainable="picking",
        space="search_spaces.picking:space",
        base={"model.architecture": "xiaonet"},
        objectives={metrics.DEV_F1: "max"},
        samples=20,
        description="XiaoNet on labels alone, without a teacher: what distillation is compared with",
    )
