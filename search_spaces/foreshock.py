"""What may vary when a model learns to tell foreshocks from aftershocks, and the named sweeps over it.

The conditions of a suite share splits and seeds, so that their differences are paired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces.sweep import Sweep
from trainables import metrics

if TYPE_CHECKING:
    import optuna

SEEDS = [0, 1, 2, 3, 4]


def space(trial: optuna.Trial) -> None:
    """Optimizer, head and freezing schedule. Names are the dotted keys of `FinetuningConfig`."""
    trial.suggest_float("training.learning_rate", 1e-4, 2e-3, log=True)
    trial.suggest_float("training.weight_decay", 1e-3, 0.3, log=True)
    trial.suggest_float("training.label_smoothing", 0.0, 0.2)
    trial.suggest_float("training.warmup_fraction", 0.0, 0.2)
    trial.suggest_categorical("training.batch_size", [8, 16, 32])
    trial.suggest_float("head.dropout", 0.0, 0.4)
    schedule = trial.suggest_categorical("freezing.schedule", ["full", "encoder", "frozen", "progressive"])
    if schedule == "progressive":
        trial.suggest_int("freezing.unfreeze_at_epoch", 2, 10)
        trial.suggest_float("freezing.unfrozen_lr_mult", 0.02, 1.0, log=True)


def ablation_space(trial: optuna.Trial) -> None:
    """The pretrained model under three schedules, and random weights."""
    if trial.suggest_categorical("model.start", ["pretrained", "random"]) == "pretrained":
        trial.suggest_categorical("freezing.schedule", ["full", "frozen", "progressive"])


def fewshot_space(trial: optuna.Trial) -> None:
    """Nested shares of the training events, from pretrained and from random weights."""
    trial.suggest_categorical("data.few_shot_fraction", [0.05, 0.1, 0.2, 0.5, 1.0])
    trial.suggest_categorical("model.start", ["pretrained", "random"])


def classes_space(trial: optuna.Trial) -> None:
    """How finely the sequence is cut into classes."""
    trial.suggest_categorical("data.num_classes", [2, 4, 8, 9])


def foreshock() -> Sweep:
    return Sweep(
        name="foreshock",
        trainable="finetuning",
        space="search_spaces.foreshock:space",
        objectives={metrics.DEV_MACRO_F1: "max"},
        samples=20,
        description="foreshocks and aftershocks: the best dev macro F1 over rate, regularisation and schedule",
    )


def ablation() -> Sweep:
    return _suite(
        "foreshock-ablation",
        "ablation_space",
        "how much pretraining helps: full, frozen, progressive, random; 5 seeds",
        baseline={"model.start": "random"},
    )


def fewshot() -> Sweep:
    return _suite(
        "foreshock-fewshot",
        "fewshot_space",
        "macro F1 with 5 to 100 % of the events, pretrained or random; 5 seeds",
        baseline={"model.start": "random"},
    )


def classes() -> Sweep:
    return _suite("foreshock-classes", "classes_space", "2, 4, 8 and 9 classes, five seeds each")


def _suite(name: str, space_name: str, description: str, baseline: dict[str, Any] | None = None) -> Sweep:
    return foreshock().changed(
        name=name,
        space=f"search_spaces.foreshock:{space_name}",
        samples=None,
        sampler="grid",
        scheduler="none",
        seeds=SEEDS,
        baseline=baseline or {},
        description=description,
    )
