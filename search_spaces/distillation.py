"""What may vary when a student learns from a teacher, and the named sweeps over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.architecture import architecture_of
from search_spaces.asking import is_decided, leave_out
from search_spaces.sweep import Sweep
from trainables import metrics

if TYPE_CHECKING:
    import optuna


def xiaonet_space(trial: optuna.Trial) -> None:
    """Loss, student and optimizer. Names are the dotted keys of `DistillationConfig`.

    No XiaoNet of it is larger than a PhaseNet, which usually teaches: 164,451 parameters of 268,443. A list may ask for
    larger ones (`student.base_channels=24,32`). The published rates end at 1e-3; small students are steadier over seeds
    near 3e-3, the smallest want more.
    """
    _search(trial, highest_rate=1.6e-2)


def student_space(trial: optuna.Trial) -> None:
    """What `xiaonet_space` was before: sweeps that began with it go on with it."""
    _search(trial, highest_rate=3e-3, base_channels=[4, 8, 12, 16])


def space(trial: optuna.Trial) -> None:
    """What `student_space` was before. Its largest students (24 and 32 channels: 368,211 and 652,995 parameters) are
    larger than a PhaseNet."""
    _search(trial, highest_rate=3e-3, base_channels=[4, 8, 12, 16, 24, 32])


def _search(trial: optuna.Trial, highest_rate: float, base_channels: list[int] | None = None) -> None:
    """`base_channels`: the only widths; default each from 4 to 16."""
    alpha = trial.suggest_float("loss.alpha", 0.0, 1.0)
    if alpha > 0:  # without a teacher's share there is nothing to soften
        trial.suggest_float("loss.temperature", 1.0, 5.0)
    if architecture_of(trial, "student.architecture", "xiaonet") == "xiaonet":
        if base_channels:
            trial.suggest_categorical("student.base_channels", base_channels)
        elif _is_free(trial, "student.base_channels"):
            trial.suggest_int("student.base_channels", 4, 16)
        if base_channels or _is_free(trial, "student.pooling"):
            trial.suggest_categorical("student.pooling", [2, 4])
        trial.suggest_float("student.dropout", 0.0, 0.3)
    trial.suggest_float("training.learning_rate", 1e-4, highest_rate, log=True)
    trial.suggest_categorical("training.batch_size", [32, 64, 128])
    trial.suggest_int("training.patience", 5, 10)


def _is_free(trial: optuna.Trial, size: str) -> bool:
    """Whether a size of the student is searched: one that goes on from the weights of another has the size of that,
    which the user says."""
    return not is_decided(trial, "student.pretrained") or is_decided(trial, size)


def wide_space(trial: optuna.Trial) -> None:
    """Of a student with a wide context: its size, how broad its labels are, loss and optimizer."""
    alpha = trial.suggest_float("loss.alpha", 0.0, 1.0)
    if alpha > 0:
        trial.suggest_float("loss.temperature", 1.0, 5.0)
    if _is_free(trial, "student.base_channels"):
        trial.suggest_int("student.base_channels", 4, 16)
    trial.suggest_float("data.sigma_samples", 10.0, 40.0)
    trial.suggest_float("training.learning_rate", 1e-3, 1.6e-2, log=True)
    trial.suggest_categorical("training.batch_size", [32, 64, 128])


def ablation_space(trial: optuna.Trial) -> None:
    """Labels alone, the teacher alone, and both; with `data.streams` each with and without them, which labels alone
    cannot have: nobody has labelled streams."""
    alpha = trial.suggest_categorical("loss.alpha", [0.0, 0.5, 1.0])
    has_streams = is_decided(trial, "data.streams") or not hasattr(trial, "is_decided")
    if has_streams and trial.suggest_categorical("data.streams_share", [0.0, 0.5]) > 0 and alpha == 0:
        leave_out(trial)


def fewshot_space(trial: optuna.Trial) -> None:
    """How much labelled data is needed: nested shares of the training events."""
    trial.suggest_categorical("data.few_shot_fraction", [0.05, 0.1, 0.2, 0.5, 1.0])


def distillation() -> Sweep:
    return Sweep(
        name="distillation",
        trainable="distillation",
        space="search_spaces.distillation:xiaonet_space",
        objectives={metrics.DEV_F1: "max"},
        samples=20,
        description="PhaseNet into XiaoNet: the best dev F1 over loss, size and training",
    )


def pareto() -> Sweep:
    """Accuracy against size and speed. Size and speed depend on the architecture and are in every report."""
    return distillation().changed(
        name="distillation-pareto",
        objectives={metrics.DEV_F1: "max", metrics.INT8_BYTES: "min", metrics.INT8_LATENCY_MS: "min"},
        samples=40,
        description="dev F1 against bytes and latency of the INT8 file: the Pareto front",
    )


def fewshot() -> Sweep:
    return distillation().changed(
        name="distillation-fewshot",
        space="search_spaces.distillation:fewshot_space",
        samples=None,
        sampler="grid",
        scheduler="none",
        seeds=[0, 1, 2],
        baseline={"data.few_shot_fraction": 1.0},
        description="dev F1 with 5, 10, 20, 50 and 100 % of the training events, three seeds each",
    )


def wide() -> Sweep:
    """Plateau decay and early stopping are not used: all epochs of a cosine run, unless a trial lags behind others."""
    return distillation().changed(
        name="distillation-wide",
        space="search_spaces.distillation:wide_space",
        base={
            "student.context": "wide",
            "student.pooling": 4,
            "training.schedule": "cosine",
            "data.rotate_horizontals": True,
            "data.flip_sign": True,
        },
        description="a small XiaoNet with wide context, a cosine, rotated and flipped windows: the best dev F1",
    )


def ablation() -> Sweep:
    """As many steps in every condition, so that one with streams is not trained for longer."""
    return distillation().changed(
        name="distillation-ablation",
        space="search_spaces.distillation:ablation_space",
        base={"training.steps_per_epoch": 100},
        required=["data.dataset"],
        samples=None,
        sampler="grid",
        scheduler="none",
        seeds=[0, 1, 2, 3, 4],
        baseline={"loss.alpha": 0.0},
        description="labels alone, teacher alone, both; each with and without data.streams; five seeds",
    )
