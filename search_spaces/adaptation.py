"""What may vary when a picker is made for a network of which nobody has labelled anything: little.

A teacher labels continuous waveforms of the network (`data.streams`), and a small student learns from it on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.sweep import Sweep
from trainables import metrics

if TYPE_CHECKING:
    import optuna


def optimizer_space(trial: optuna.Trial) -> None:
    """Optimizer and regularisation. Names are the dotted keys of `DistillationConfig`."""
    trial.suggest_float("training.learning_rate", 2e-3, 6e-3, log=True)
    trial.suggest_float("student.dropout", 0.0, 0.1)


def space(trial: optuna.Trial) -> None:
    """What `optimizer_space` was before: sweeps that began with it go on with it. Its third setting changes nothing
    that a student hears, where no noise and no second event is added."""
    optimizer_space(trial)
    trial.suggest_float("data.max_amplitude_scale", 1.0, 2.0)


def adaptation() -> Sweep:
    """A student of 41,715 parameters with a context of 6 s; whether more steps or another size are worth it is for
    `distillation` to search, from the same store of labelled streams."""
    return Sweep(
        name="adaptation",
        trainable="distillation",
        space="search_spaces.adaptation:optimizer_space",
        base={
            "student.base_channels": 8,
            "student.pooling": 4,
            "training.batch_size": 32,
            "training.epochs": 12,
            "training.steps_per_epoch": 250,
        },
        required=["data.streams"],
        objectives={metrics.DEV_F1: "max"},
        samples=4,
        grace_epochs=6,
        description="a small picker for a network without labels: a teacher and continuous waveforms (data.streams)",
    )
