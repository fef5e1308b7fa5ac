"""What may vary in pretraining by contrast, and the named sweep over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.sweep import Sweep
from trainables import metrics

if TYPE_CHECKING:
    import optuna


def space(trial: optuna.Trial) -> None:
    """Optimizer, masks and contrast. Names are the dotted keys of `PretrainingConfig`."""
    trial.suggest_float("training.learning_rate", 3e-4, 3e-3, log=True)
    trial.suggest_float("contrast.mask_probability", 0.4, 0.8)
    trial.suggest_categorical("contrast.mask_length", [5, 10])
    trial.suggest_float("contrast.diversity_weight", 0.05, 0.5, log=True)


def pretraining() -> Sweep:
    return Sweep(
        name="pretraining",
        trainable="pretraining",
        space="search_spaces.pretraining:space",
        objectives={metrics.DEV_ACCURACY: "max"},
        samples=12,
        description="contrastive pretraining: the best accuracy of the positive over masks, diversity and rate",
    )
