"""One step of a training, on a few traces, to see how long all of it would take on this machine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from trainables.data.batches import DevWindows, default_dev_windows_per_trace
from trainables.data.config import DataConfig
from trainables.data.draws import Windows
from trainables.data.mixing import labelled_sources
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, a_few
from trainables.models.interface import Interface
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun
from trainables.training.config import PickerTrainingConfig
from trainables.training.loop import train_epoch
from trainables.training.picker import (
    EVALUATION_BATCH,
    BatchLosses,
    PickerTask,
    raw_logits,
    steps_of_an_epoch,
    student_logits,
    windows_of_an_epoch,
)
from trainables.training.state import TrainingState

TRACES = 32
"""Of a split that windows are drawn from."""
MOST_TIMES, LONG_S = 3, 2.0
"""What is measured is done so often, unless that has taken as long."""


@dataclass(frozen=True)
class Pace:
    """What a training costs on this machine, as one step of it and one batch of dev windows took."""

    step_s: float
    """One optimizer step, teacher included."""
    steps: int
    """Of an epoch."""
    dev_s: float
    """Evaluation on all dev windows."""
    epochs: int
    """At most."""
    teacher_parameters: int | None = None
    """Where one teaches."""

    @property
    def epoch_s(self) -> float:
        return self.steps * self.step_s + self.dev_s


def picker_pace(
    config: PickerTrainingConfig, run: LocalRun, state: TrainingState, losses: BatchLosses, around: int = 0
) -> Pace:
    """Train a picker for one step on a few real traces, and evaluate it on a few. Writes into `run.workdir` alone.

    Raises ValueError where these traces cannot be used.
    """
    data = config.data
    if not data.has_dataset:
        raise ValueError("a step can only be tried after the teacher has labelled data.streams")
    interface: Interface = state.model.interface  # type: ignore[assignment]
    train, num_train = _a_few(data, "train", run.workdir / "train", interface.windowing(around))
    stores, num_dev = _a_few(data, "dev", run.workdir / "dev", interface.windowing(around))
    per_trace = data.dev_windows_per_trace or default_dev_windows_per_trace(num_dev)
    dev = DevWindows(stores, data.model_copy(update={"dev_windows_per_trace": per_trace}), run.device)
    each = max(1, EVALUATION_BATCH // len(stores))
    dev.windows = [Windows(*(column[:each] for column in windows)) for windows in dev.windows]
    one_step = config.training.model_copy(update={"steps_per_epoch": 1})
    task = PickerTask(
        labelled_sources(data, train),
        dev,
        config.model_copy(update={"training": one_step}),
        run,
        interface,
        student_logits if isinstance(state.model, XiaoNet) else raw_logits,
        losses,
    )
    model = run.prepare(state.model)

    def evaluate() -> None:
        state.model.eval()
        with torch.no_grad():
            task.evaluate(state.model)

    return Pace(
        step_s=_seconds(lambda: train_epoch(model, state, task, one_step, run, epoch=1)),
        steps=steps_of_an_epoch(config.training, windows_of_an_epoch(data, num_train)),
        dev_s=_seconds(evaluate) * per_trace * num_dev / len(dev),
        epochs=config.training.epochs,
    )


def _a_few(
    config: DataConfig, split: Literal["train", "dev"], folder: Path, windowing: Windowing
) -> tuple[list[WindowStore], int]:
    """Of each data set a few traces, and how many there are in all."""
    found = [a_few(one, split, TRACES, folder, windowing) for one in config.each]
    return [store for store, _ in found], sum(num_traces for _, num_traces in found)


def taught(pace: Pace, teacher: torch.nn.Module) -> Pace:
    """The same with the size of who teaches."""
    size = sum(parameter.numel() for parameter in teacher.parameters())
    return dataclasses.replace(pace, teacher_parameters=size)


def _seconds(work: Callable[[], object]) -> float:
    """The least of a few: the first one warms up, and a neighbour only adds to it."""
    began_s, least_s = time.perf_counter(), math.inf
    for _ in range(MOST_TIMES):
        started_s = time.perf_counter()
        work()
        now_s = time.perf_counter()
        least_s = min(least_s, now_s - started_s)
        if now_s - began_s > LONG_S:
            break
    return least_s
