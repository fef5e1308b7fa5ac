"""What settings and metrics are called where a reader types nothing: in pictures. Words, with their unit.

    words_of("training.batch_size")    # batch size (windows)
    words_of("dev/p_residual_mae_s")   # P residual MAE on dev (s)

A key that stands in no table here is read as it is spelled, a user's own too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trainables import metrics

UNITS = {"s": "s", "ms": "ms", "hz": "Hz", "samples": "samples", "bytes": "bytes", "gb": "GB", "epochs": "epochs"}
"""By how a key ends."""

_SETTINGS = {
    "loss.alpha": "teacher's share (alpha)",
    "student.base_channels": "channels of the first level",
    "student.pooling": "pooling factor",
    "training.batch_size": "batch size (windows)",
    "training.lr_factor": "factor on the learning rate at a plateau",
    "training.lr_patience": "patience of the learning rate (epochs)",
    "training.patience": "patience (epochs)",
    "training.warmup_fraction": "share of the steps that warm up",
    "data.few_shot_fraction": "share of the training events",
    "data.num_classes": "classes",
    "data.max_amplitude_scale": "largest random gain factor",
    "data.noise_share": "share of windows with added noise",
    "data.second_event_share": "share of windows with a second event",
    "data.gap_share": "share of windows with a gap",
    "data.rate_change": "random change of the rate (at most)",
    "data.max_time_shift_s": "random time shift (at most s)",
    "contrast.mask_length": "length of a mask (tokens)",
    "contrast.diversity_weight": "weight of the diversity",
    "freezing.schedule": "what is frozen",
    "freezing.unfrozen_lr_mult": "learning-rate factor of unfrozen parts",
    "model.start": "weights at the start",
}
_METRICS = {
    metrics.DEV_F1: "F1 on dev, mean of P and S",
    "dev/s_picks_on_p_share": "share of P arrivals picked as S, on dev",
    "dev/p_picks_on_s_share": "share of S arrivals picked as P, on dev",
    metrics.PARAMETERS: "parameters",
    metrics.MACS: "multiply-accumulates of a window",
    metrics.FP32_BYTES: "size of the FP32 file (bytes)",
    metrics.INT8_BYTES: "size of the INT8 file (bytes)",
    metrics.FP32_LATENCY_MS: "FP32 file: time of a window (ms)",
    metrics.INT8_LATENCY_MS: "INT8 file: time of a window (ms)",
    metrics.INT8_F1_LOSS: "F1 lost with INT8",
    metrics.INT8_SIZE_RATIO: "FP32 size over INT8 size",
    metrics.INT8_LATENCY_RATIO: "INT8 time over FP32 time",
    metrics.AGREEMENT_F1: "F1 against the picks of the teacher",
}
_WHOSE = {
    "dev": "on dev",
    "train": "in training",
    "fp32": "of the FP32 file on dev",
    "int8": "of the INT8 file on dev",
    "teacher": "of the teacher on dev",
    metrics.UNCALIBRATED: "before calibration on dev",
    metrics.AGREEMENT: "against the picks of the teacher",
}
_PARTS = {
    "f1": "F1",
    "p": "P",
    "s": "S",
    "mae": "MAE",
    "std": "SD",
    "lr": "learning rate",
    "fp32": "FP32",
    "int8": "INT8",
}
"""Parts of names that are not words."""


def words_of(key: str) -> str:
    """A setting (`training.learning_rate`) or a metric (`dev/f1`), with its unit in brackets where it has one."""
    if known := _SETTINGS.get(key) or _METRICS.get(key):
        return known
    group, _, name = key.rpartition("/") if "/" in key else key.rpartition(".")
    *parts, last = name.split("_")
    has_unit = bool(parts) and last in UNITS
    words = [_PARTS.get(part, part) for part in (parts if has_unit else [*parts, last])]
    whose = _WHOSE.get(group, group) if "/" in key else ""
    return " ".join(filter(None, [*words, whose, f"({UNITS[last]})" if has_unit else ""]))


def words_apart(keys: Iterable[str]) -> dict[str, str]:
    """The words of each key; where two would be called alike, each with the group that it belongs to."""
    words = {key: words_of(key) for key in keys}
    times = Counter(words.values())
    return {
        key: called if times[called] == 1 else f"{key.partition('.')[0]}: {called}" for key, called in words.items()
    }


def unit_of(key: str) -> str:
    """Of a key that ends in one, as `tolerance_s`."""
    return UNITS.get(key.rpartition(".")[2].rpartition("_")[2], "")
