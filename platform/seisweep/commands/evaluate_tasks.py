"""`seisweep evaluate --tasks`: pick-benchmark's three tasks, each measure of every model with its interval."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seisweep.artifacts.pickers import Found, Picker, named_apart
from seisweep.artifacts.trained_with import DATASET
from seisweep.commands.interval_cells import with_ends
from seisweep.screen.tables import Format, write
from seisweep.screen.terminal import redraws
from seisweep.settings.overrides import Overrides, build_config
from seisweep.settings.paths import with_absolute_paths
from trainables.config import Config
from trainables.data.config import DataConfig, each_of
from trainables.evaluation.task_names import Task
from trainables.evaluation.task_targets import TasksConfig, holds_targets
from trainables.evaluation.task_windows import TaskPicker
from trainables.evaluation.tasks import TaskData, TaskScore, halves_in_words, open_tasks, score_tasks

SAY_EVERY_S = 10.0


class TasksData(Config):
    """Which data sets."""

    dataset: str | list[str]
    """SeisBench name or a folder in SeisBench's format; several are scored one by one."""


class TasksSettings(Config):
    """What `--tasks` takes: nothing of dev windows and picks decides there."""

    data: TasksData
    tasks: TasksConfig = TasksConfig()


def check_settings(settings: Overrides) -> None:
    """Raises ValueError in one line, before any model is looked at."""
    build_config(TasksSettings, {DATASET: "", **settings.base, **settings.vary})


def evaluate_tasks(
    found: Mapping[str, Found], settings: Overrides, wanted: Sequence[Task], folder: Path | None, format: Format
) -> None:
    """Print a table: a row for each measure and model, of each data set."""
    config = build_config(TasksSettings, {**_trained_on(found), **with_absolute_paths(settings.base), **settings.vary})
    names = each_of(config.data.dataset)
    if folder is not None and len(names) > 1:
        raise ValueError(f"--targets {folder} holds the windows of one data set, but {len(names)} are given")
    is_read = folder is not None and holds_targets(folder)
    opened = {name: open_tasks(DataConfig(dataset=name), config.tasks, wanted, folder=folder) for name in names}
    if folder is not None:
        print(f"windows are read from {folder}" if is_read else f"windows are kept in {folder}", file=sys.stderr)
    pickers = {picker.name: picker for of_model in named_apart(found) for picker in of_model}
    rows: list[dict[str, Any]] = []
    for name, data in opened.items():
        for line in _in_words(name, data, config.tasks):
            print(line, file=sys.stderr)
        scores = score_tasks(_as_tasks_need(pickers), data, config.tasks, wanted, progress=_progress(name))
        rows += _rows(scores, name if len(names) > 1 else None)
    write(rows, format)


def _trained_on(found: Mapping[str, Found]) -> dict[str, Any]:
    """The data sets that all models with a record were trained on; none where there are several."""
    recorded = [one.trained_with.settings[DATASET] for one in found.values() if one.trained_with is not None]
    return {DATASET: recorded[0]} if recorded and all(its == recorded[0] for its in recorded) else {}


def _as_tasks_need(pickers: Mapping[str, Picker]) -> dict[str, TaskPicker]:
    return {
        name: TaskPicker(picker.probabilities, picker.classes, picker.window_samples)
        for name, picker in pickers.items()
    }


def _in_words(name: str, data: TaskData, tasks: TasksConfig) -> Iterator[str]:
    detection, onset = data.targets.detection["trace_type"], data.targets.onset["phase_label"]
    yield (
        f"{name}, split {data.split}: {(detection == 'earthquake').sum()} windows of 30 s with an earthquake, "
        f"{(detection == 'noise').sum()} with noise; {(onset == 'P').sum()} of 10 s with a P onset, "
        f"{(onset == 'S').sum()} with an S onset"
    )
    yield f"{halves_in_words(data)}; an onset is an outlier beyond {tasks.outlier_s:g} s"


def _progress(name: str) -> Callable[[int, int], None]:
    """On one line of a terminal; elsewhere a line now and then."""
    said_s = time.monotonic()
    on_a_line = redraws(sys.stderr)

    def show(done: int, of: int) -> None:
        nonlocal said_s
        if on_a_line:
            print(f"{name}: {done} of {of} traces", end="\r" if done < of else "\r\033[K", file=sys.stderr, flush=True)
        elif time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{name}: {done} of {of} traces", file=sys.stderr, flush=True)

    return show


def _rows(scores: Sequence[TaskScore], dataset: str | None) -> Iterator[dict[str, Any]]:
    has_several = any(one.minus_first is not None for one in scores)
    for one in scores:
        row: dict[str, Any] = {} if dataset is None else {"data": dataset}
        row |= {"task": str(one.task), "measure": one.measure, "model": one.model, **one.score._asdict()}
        if has_several:
            row |= with_ends("minus_first", one.minus_first)
        yield row | {"windows": one.windows, "threshold": one.threshold}
