"""What a trial's reports are called in MLflow, where best and last are told apart.

`dev/f1` has one value an epoch, and the last one is the last epoch's. What the final report says again, of the weights
that the trial ends with, is `best/dev/f1`, one value at the last epoch. Of a trial that was stopped, failed or was
interrupted it is the score of its best epoch, as the trainable said (`best_epoch`), else the last one.

Sweeps that began before this had the final report as one more step of `dev/f1` itself. They go on so
(`best_apart` False), and results read both (`results/best_and_last.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from seisweep.record.ledger import Report, TrialRecord
from trainables import metrics as names

BEST = "best/"

ONCE = (
    "model/",
    "fp32/",
    "int8/",
    "teacher/",
    f"{names.AGREEMENT}/",
    f"{names.CALIBRATION}/",
    f"{names.UNCALIBRATED}/",
)
"""Said of the architecture, of the finished files, of the teacher and of the agreement with it, and of the calibration
of the finished weights: there is no best and last of these."""

BY_EPOCH = ("train/", "time/", "pbt/")
"""Said of an epoch of training alone."""

CONSTANT = (
    names.PARAMETERS,
    names.MACS,
    names.FP32_BYTES,
    names.INT8_BYTES,
    names.FP32_LATENCY_MS,
    names.INT8_LATENCY_MS,
    names.INT8_LATENCY_RATIO,
    names.INT8_SIZE_RATIO,
    names.INT8_CONV_SHARE,
)
"""In every report, as schedulers and Optuna want them; in MLflow with the first and the final one."""


class Values(NamedTuple):
    """What MLflow is told at one step of a run."""

    step: int
    time_ms: int
    metrics: dict[str, float]


class MetricNames(NamedTuple):
    """The names of one sweep's metrics."""

    objectives: Collection[str]
    best_apart: bool
    """False for a sweep that began before best and last were told apart."""

    def column(self, metric: str) -> str:
        """Under which name a trial's score stands in MLflow, to sort by and to show."""
        return self._best(metric) or metric if self.best_apart else metric

    def of_report(self, report: Report) -> Values:
        if not self.best_apart:
            return Values(report.step, report.time_ms, report.metrics)
        if report.final:
            told = self._of_best(report.metrics)
            if report.epoch == 1:  # what the only epoch has said at this step
                told = {name: value for name, value in told.items() if not _is_constant(name)}
            return Values(report.epoch, report.time_ms, told)
        later = {name for name in report.metrics if _is_constant(name) and report.epoch > 1} | {names.BEST_EPOCH}
        told = {name: value for name, value in report.metrics.items() if name not in later}
        return Values(report.epoch, report.time_ms, told)

    def of_end(self, record: TrialRecord) -> Values | None:
        """Of a trial without a final report: the scores of its best epoch. None where there is nothing to tell."""
        if not self.best_apart or record.final or not record.best:
            return None
        told = self._of_best(record.best)
        scores = {name: told[name] for name in told if is_said_at_the_end(name)}
        return Values(record.epoch, record.reported_ms, scores)

    def of_sweep(self, best: TrialRecord) -> dict[str, float]:
        """What the sweep's own run says of its best trial."""
        return self._of_best(best.metrics) if self.best_apart else best.metrics

    def _of_best(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return {called: value for name, value in metrics.items() if (called := self._best(name))}

    def _best(self, name: str) -> str:
        """Empty for what the weights that a trial ends with do not have."""
        if name.startswith(ONCE) or name in (names.EPOCH, names.FINAL, names.BEST_EPOCH):
            return name
        return "" if name.startswith(BY_EPOCH) and name not in self.objectives else BEST + name


def is_said_at_the_end(name: str) -> bool:
    """Whether it is of the weights that a trial ends with, not of an epoch."""
    return name.startswith(BEST) or name == names.BEST_EPOCH


def _is_constant(name: str) -> bool:
    return name in CONSTANT or name.startswith("teacher/")
