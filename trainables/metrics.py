"""Names of everything a trainable reports, in one place. A prefix becomes a chart group in MLflow.

Picking metrics are per phase: `dev/p_f1`, `dev/s_residual_mae_s`; `dev/f1` is the mean of P and S.
Classification has `dev/accuracy`, `dev/macro_f1` and one F1 a class: `dev/class_0_f1` is the earliest.
"""

from typing import Literal

EPOCH = "epoch"
"""Epochs done, from 1. The final report repeats the last epoch and adds `final`."""
FINAL = "final"
"""1 in the last report of a finished trial, which carries the best weights' metrics; 0 in the others."""
BEST_EPOCH = "best_epoch"
"""The epoch with the best weights so far; in the final report: the epoch whose weights were restored. The scores of a
stopped trial are those of this epoch. If a trainable does not report it, the last report counts."""
EPOCH_TIME_S = "time/epoch_s"

TRAIN_LOSS = "train/loss"
TASK_LOSS = "train/task_loss"
DISTILL_LOSS = "train/distill_loss"
CONTRASTIVE_LOSS = "train/contrastive_loss"
DIVERSITY_LOSS = "train/diversity_loss"
TRAIN_ACCURACY = "train/accuracy"
TRAIN_PERPLEXITY = "train/perplexity"
"""Effective number of codes in use, from the hard choices."""
L2_LOSS = "train/l2_to_pretrained"
LEARNING_RATE = "train/learning_rate"
DEV_LOSS = "dev/loss"
DEV_F1 = "dev/f1"
DEV_ACCURACY = "dev/accuracy"
DEV_MACRO_F1 = "dev/macro_f1"
"""Mean over classes of their F1."""
TEACHER_F1 = "teacher/f1"
"""F1 of the teacher on the same dev windows; each phase at its own best threshold there."""
AGREEMENT = "agreement"
"""Prefix of a student's scores with its teacher's picks as reference, on hours that it was not trained on."""
AGREEMENT_F1 = "agreement/f1"
INT8_F1 = "int8/f1"
FP32_F1 = "fp32/f1"

PARAMETERS = "model/parameters"
MACS = "model/macs"
"""Multiply-accumulates of one window."""
FP32_BYTES = "fp32/bytes"
INT8_BYTES = "int8/bytes"
FP32_LATENCY_MS = "fp32/latency_ms"
INT8_LATENCY_MS = "int8/latency_ms"
INT8_LATENCY_RATIO = "int8/latency_ratio"
"""INT8 latency over FP32 latency: least processor times of one window on one warm thread."""
INT8_SIZE_RATIO = "int8/size_ratio"
"""FP32 bytes over INT8 bytes: how many times smaller the INT8 file is."""
INT8_CONV_SHARE = "int8/conv_share"
"""Share of convolutions that run in INT8, 0 to 1."""
INT8_F1_LOSS = "int8/f1_loss"
"""FP32 dev F1 minus INT8 dev F1, both by onnxruntime at the dev thresholds."""
INT8_ACCEPTED = "int8/accepted"
"""1 where the gate accepts the INT8 file, 0 where it refuses it."""
INT8_VERDICT = "int8/verdict"
"""Tag with the verdict of the gate in words, with the latency: `accepted`, `accepted, slower` or `refused`."""

FIXED_THRESHOLD = 0.3
F1_AT_FIXED = f"f1_at_{FIXED_THRESHOLD:g}"
"""F1 of a phase at a fixed threshold, not chosen on dev: far below `f1` if probabilities are too low."""
CALIBRATION_ERROR = "calibration_error"
"""Expected calibration error of the peaks of a phase: how far probabilities are from how often there is an arrival."""
CALIBRATION = "calibration"
"""Prefix of the parameters of the map (`calibration/s_scale`), and a tag that says what it was fitted to."""
UNCALIBRATED = "uncalibrated"
"""Prefix of the scores on dev that the weights had before they were calibrated."""

HEADLINES = (AGREEMENT_F1, INT8_F1, INT8_F1_LOSS, INT8_BYTES, PARAMETERS)
"""What a table of trials shows beside the objectives, where trials have it."""


LATENCIES = (FP32_LATENCY_MS, INT8_LATENCY_MS)
"""What `results` shows beside these, before the verdict."""

COUNTS = (PARAMETERS, MACS, FP32_BYTES, INT8_BYTES, BEST_EPOCH)
"""Whole numbers; MLflow keeps every metric as a float."""

_MORE_IS_BETTER = ("f1", F1_AT_FIXED, "precision", "recall", "accuracy", "size_ratio", "conv_share", "accepted")
_LESS_IS_BETTER = (
    "loss",
    "bytes",
    "latency_ms",
    "latency_ratio",
    "residual_mae_s",
    "residual_std_s",
    "per_hour",
    CALIBRATION_ERROR,
    "picks_on_p_share",
    "picks_on_s_share",
)


def direction(name: str) -> Literal["max", "min", "zero"] | None:
    """`max` where more is better, `min` where less is, `zero` where what lies nearer to zero is; None where the name
    does not say it."""
    if name.endswith("residual_mean_s"):
        return "zero"
    if name in (PARAMETERS, MACS) or name.endswith(_LESS_IS_BETTER):
        return "min"
    return "max" if name.endswith(_MORE_IS_BETTER) else None


def interval(name: str) -> tuple[str, str]:
    """Names of the ends of a metric's 95 % interval: `dev/f1_low` and `dev/f1_high` of `dev/f1`."""
    return f"{name}_low", f"{name}_high"


def picking(split: str, phase: str | None, name: str) -> str:
    """Name of a picking metric: `picking("dev", "P", "f1")` is `dev/p_f1`; phase None is `dev/f1`."""
    return f"{split}/{phase.lower()}_{name}" if phase else f"{split}/{name}"


def picks_on(other: str) -> str:
    """Name of the share of the other phase's arrivals that were picked as this one: `dev/s_picks_on_p_share` is
    `picking("dev", "S", picks_on("P"))`."""
    return f"picks_on_{other.lower()}_share"


def classification(split: str, name: str) -> str:
    """Name of a classification metric: `classification("dev", "macro_f1")` is `dev/macro_f1`."""
    return f"{split}/{name}"


def pretraining(split: str, name: str) -> str:
    """Name of a pretraining metric: `pretraining("dev", "perplexity")` is `dev/perplexity`."""
    return f"{split}/{name}"


def promoted(split: str, precision: str, name: str) -> str:
    """Name of a promoted model's metric: `promoted("test", "int8", "f1")` is `test_int8/f1`."""
    return f"{split}_{precision}/{name}"
