"""pick-benchmark's three tasks on one split of one data set: event detection, phase identification, onset time.

On dev, thresholds are chosen on one half of its events and scored on the other. On test, which wants its opening, they
are chosen on all of dev, as the protocol does it.
"""

# W window

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import seisbench.data as sbd

from trainables.data.catalog import check_dataset, load_dataset
from trainables.data.config import PHASES, SAMPLING_RATE_HZ, DataConfig
from trainables.data.seal import SEALED, Opening, check_seal
from trainables.data.splits import event_ids
from trainables.data.windows import which_test_split
from trainables.evaluation.intervals import Interval
from trainables.evaluation.task_measures import Judged, Measure, measures, thresholds
from trainables.evaluation.task_names import Task
from trainables.evaluation.task_targets import (
    DETECTION_S,
    EARTHQUAKE,
    NOISE,
    Targets,
    TasksConfig,
    holds_targets,
    make_targets,
    read_targets,
    write_targets,
)
from trainables.evaluation.task_windows import Answers, Progress, TaskPicker, answers

_NEEDED = {Task.DETECTION: (EARTHQUAKE, NOISE), Task.IDENTIFICATION: PHASES}
"""Kinds of windows that are told apart."""
_HALVES = 2


@dataclass(frozen=True)
class TaskScore:
    """One measure of one model."""

    task: Task
    measure: str
    model: str
    score: Interval
    minus_first: Interval | None
    """The difference to the first model on the same events; None for the first one."""
    windows: int
    threshold: float | None


@dataclass(frozen=True)
class TaskData:
    """A split of a data set with its windows, and whether each task can be scored on it."""

    dataset: sbd.WaveformDataset
    split: str
    targets: Targets
    event: np.ndarray
    """Of each trace of the metadata."""
    is_chosen_on: np.ndarray
    """Of each trace, whether its event is of the half that chooses thresholds."""

    @property
    def tables(self) -> dict[Task, pd.DataFrame]:
        """The windows of each task."""
        return {
            Task.DETECTION: self.targets.detection,
            Task.IDENTIFICATION: self.targets.onset,
            Task.ONSET: self.targets.onset,
        }


def open_tasks(
    config: DataConfig,
    tasks: TasksConfig,
    wanted: Sequence[Task],
    split: str = "dev",
    opening: Opening | None = None,
    folder: Path | None = None,
) -> TaskData:
    """The windows of a split, made; or read from `folder` where they are there, and written there where they are not.

    Raises ValueError in one line where a task of `wanted` cannot be scored on this data set, and names those that can.
    """
    if split == SEALED:
        check_seal(opening, which_test_split(config))
    dataset = load_dataset(config.only)
    check_dataset(dataset, config.only, splits=(split,))
    is_read = folder is not None and holds_targets(folder)
    if folder is not None and is_read:
        targets = read_targets(folder, dataset, split)
    else:
        targets = make_targets(dataset, split, tasks)
    event = event_ids(dataset.metadata)
    data = TaskData(dataset, split, targets, event, _first_half(targets, event, tasks.seed))
    reasons = {task: reason for task in Task if (reason := _why_not(data, task, halved=split != SEALED))}
    if missing := [f"{task}: {reasons[task]}" for task in wanted if task in reasons]:
        others = " ".join(f"--task {task}" for task in Task if task not in reasons)
        rest = f"; {others} can be scored" if others else ""
        raise ValueError(f"data.dataset={config.only} cannot be used for {'; '.join(missing)}{rest}")
    if folder is not None and not is_read:
        write_targets(targets, folder)
    return data


def score_tasks(
    pickers: Mapping[str, TaskPicker],
    data: TaskData,
    tasks: TasksConfig,
    wanted: Sequence[Task],
    chosen_on: TaskData | None = None,
    progress: Progress = lambda done, of: None,
) -> list[TaskScore]:
    """Every measure of every model, those of one measure together. `chosen_on`: the windows that thresholds are chosen
    on, of dev for the test split; None: half of the events of `data`, and the other half is scored."""
    by_model = _judged(pickers, data, wanted, progress)
    chosen = by_model if chosen_on is None else _judged(pickers, chosen_on, wanted, progress)
    found: dict[str, list[Measure]] = {}
    for name, judged in by_model.items():
        if chosen_on is None:
            first = {task: its[_of_first_half(data, its)] for task, its in judged.items()}
            scored = {task: its[~_of_first_half(data, its)] for task, its in judged.items()}
        else:
            first, scored = chosen[name], judged
        found[name] = list(measures(judged, scored, thresholds(first), tasks.outlier_s))
    return _in_order(found)


def halves_in_words(data: TaskData) -> str:
    """On which events thresholds are chosen and scored."""
    used = np.unique(pd.concat([data.targets.detection, data.targets.onset])["trace_idx"].to_numpy(dtype=int))
    first = len(np.unique(data.event[used][data.is_chosen_on[used]]))
    second = len(np.unique(data.event[used][~data.is_chosen_on[used]]))
    return (
        f"thresholds are chosen on {first} events and scored on the other {second}; all other measures use all events"
    )


def _in_order(found: Mapping[str, Sequence[Measure]]) -> list[TaskScore]:
    first = next(iter(found))
    scores = []
    for number, reference in enumerate(found[first]):
        for name, of_model in found.items():
            one = of_model[number]
            minus = None if name == first else one.minus(reference)
            scores.append(TaskScore(one.task, one.name, name, one.interval(), minus, one.num_windows, one.threshold))
    return scores


def _judged(
    pickers: Mapping[str, TaskPicker], data: TaskData, wanted: Sequence[Task], progress: Progress
) -> dict[str, dict[Task, Judged]]:
    """Of each model and task what it says and what is true, of the windows whose traces can be read."""
    detection, onset = data.targets.detection, data.targets.onset
    if Task.DETECTION not in wanted:
        detection = detection.iloc[:0]
    if Task.IDENTIFICATION not in wanted and Task.ONSET not in wanted:
        onset = onset.iloc[:0]
    together = pd.concat([detection, onset], ignore_index=True)
    found: dict[str, dict[Task, Judged]] = {}
    for name, said in answers(pickers, data.dataset, together, progress).items():
        if not np.isfinite(said.p).any():
            raise ValueError(f"data.dataset={data.dataset.path}: no trace of split {data.split} can be used")
        first, second = said.part(slice(len(detection))), said.part(slice(len(detection), None))
        every = {
            Task.DETECTION: _detection(detection, first, data),
            Task.IDENTIFICATION: _onset(onset, second, data),
            Task.ONSET: _onset(onset, second, data),
        }
        found[name] = {task: every[task] for task in Task if task in wanted}
    return found


def _detection(targets: pd.DataFrame, said: Answers, data: TaskData) -> Judged:
    is_event = (targets["trace_type"] == EARTHQUAKE).to_numpy(dtype=bool)
    judged = Judged(is_event, said.detection, _events(targets, data), np.full(len(targets), np.nan))
    return judged[np.isfinite(said.detection)]


def _onset(targets: pd.DataFrame, said: Answers, data: TaskData) -> Judged:
    is_p = (targets["phase_label"] == "P").to_numpy(dtype=bool)
    onset = targets["phase_onset"].to_numpy(dtype=float)
    residual_s = (np.where(is_p, said.p_sample, said.s_sample) - onset) / SAMPLING_RATE_HZ
    judged = Judged(is_p, said.p_to_s, _events(targets, data), residual_s)
    return judged[np.isfinite(said.p)]


def _events(targets: pd.DataFrame, data: TaskData) -> np.ndarray:
    return data.event[targets["trace_idx"].to_numpy(dtype=int)]


def _of_first_half(data: TaskData, its: Judged) -> np.ndarray:
    return np.isin(its.event, np.unique(data.event[data.is_chosen_on]))


def _first_half(targets: Targets, event: np.ndarray, seed: int) -> np.ndarray:
    """Whether each trace's event is of the first half. Events with the same kinds of windows are divided among
    themselves, so that both halves have all kinds where there are two events of each."""
    kinds: dict[str, set[str]] = {}
    for frame, column in ((targets.detection, "trace_type"), (targets.onset, "phase_label")):
        for trace, kind in zip(frame["trace_idx"].astype(int), frame[column], strict=True):
            kinds.setdefault(str(event[trace]), set()).add(str(kind))
    rng = np.random.default_rng([seed, 0x4A1F])
    groups: dict[str, list[str]] = {}
    for name in sorted(kinds):
        groups.setdefault(" ".join(sorted(kinds[name])), []).append(name)
    first: list[str] = []
    for number, (_, names) in enumerate(sorted(groups.items())):
        order = rng.permutation(len(names))
        first += [names[place] for place in order[number % _HALVES :: _HALVES]]
    return np.isin(event, first)


def _why_not(data: TaskData, task: Task, halved: bool) -> str:
    """Why a task cannot be scored; "" where it can."""
    windows = data.tables[task]
    if task == Task.ONSET:
        return "" if len(windows) else f"no onset in split {data.split} is alone in a window"
    column = "trace_type" if task == Task.DETECTION else "phase_label"
    trace_W = windows["trace_idx"].to_numpy(dtype=int)
    for kind in _NEEDED[task]:
        of_kind = trace_W[(windows[column] == kind).to_numpy(dtype=bool)]
        if not len(of_kind):
            return _none_of(kind, data.split)
        sides = {bool(side) for side in data.is_chosen_on[of_kind]}
        if halved and len(sides) < _HALVES:
            return f"one event alone has {_IN_WORDS[kind]} in split {data.split}; its threshold needs another"
    return ""


_IN_WORDS = {EARTHQUAKE: "an earthquake", NOISE: "noise", "P": "a P onset", "S": "an S onset"}


def _none_of(kind: str, split: str) -> str:
    if kind == NOISE:
        return (
            f"no noise in split {split} (no trace without arrivals, and none with more than {DETECTION_S} s before its "
            "first one)"
        )
    if kind == EARTHQUAKE:
        return f"no trace with an arrival in split {split}"
    return f"no {kind} onset in split {split} is alone in a window"
