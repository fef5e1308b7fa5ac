"""What pickers say of the windows of pick-benchmark's tasks: maxima of their curves in each, and where these lie.

As there, a network is given the window in the middle of its own, moved where the trace ends, with zeros where the trace
has too few samples; and only what it answers inside the window counts. Preparation is each network's own. One whose
windows are shorter gets several that overlap by half, and the highest answer of all counts.
"""

# B window of a batch, C class, X component (E, N, Z), T time sample, N target

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seisbench.data as sbd
import torch

from trainables.data.batches import Batch, normalise
from trainables.data.config import COMPONENT_ORDER
from trainables.data.store_parts import NO_WAVEFORM, left_out_lines, why_useless
from trainables.edge.joining import without_gaps
from trainables.models.interface import DETECTION, NOISE

BATCH = 256

Progress = Callable[[int, int], None]
"""Told how many traces are done, and of how many."""

logger = logging.getLogger("trainables.evaluation")


@dataclass(frozen=True)
class TaskPicker:
    """A picker as the tasks need it."""

    probabilities: Callable[[Batch], np.ndarray]
    """(B, C, T), P and S first."""
    classes: str
    """Of its answers in their order: PSN, PSD or PS."""
    window_samples: int


@dataclass(frozen=True)
class Answers:
    """Of one picker for each target (N,); NaN where the trace cannot be used."""

    detection: np.ndarray
    """The highest 1 - noise, or detection curve; of curves of P and S alone min(1, P + S)."""
    p: np.ndarray
    """The highest probability of P."""
    s: np.ndarray
    p_sample: np.ndarray
    """Where that lies, in samples of the trace at 100 Hz."""
    s_sample: np.ndarray

    @property
    def p_to_s(self) -> np.ndarray:
        """The highest P by the highest S: inf where S is 0 throughout, 1 where both are."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.p / self.s
        return np.where((self.p == 0) & (self.s == 0), 1.0, ratio)

    def part(self, which: slice) -> Answers:
        """Of some targets."""
        return Answers(*(getattr(self, name)[which] for name in _FIELDS))


_FIELDS = ("detection", "p", "s", "p_sample", "s_sample")


def answers(
    pickers: Mapping[str, TaskPicker],
    dataset: sbd.WaveformDataset,
    targets: pd.DataFrame,
    progress: Progress = lambda done, of: None,
) -> dict[str, Answers]:
    """What each picker says of each target, in their order. Every trace is read once; how many cannot be used is
    logged, a line for each reason."""
    found = {name: np.full((len(_FIELDS), len(targets)), np.nan) for name in pickers}
    by_length = {
        length: _Windows(length, {name: one for name, one in pickers.items() if one.window_samples == length}, found)
        for length in {one.window_samples for one in pickers.values()}
    }
    start_N, end_N = targets["start_sample"].to_numpy(dtype=int), targets["end_sample"].to_numpy(dtype=int)
    trace_N = targets["trace_idx"].to_numpy(dtype=int)
    traces = np.unique(trace_N).tolist()
    of_trace = np.split(np.argsort(trace_N, kind="stable"), np.searchsorted(np.sort(trace_N), traces)[1:])
    left_out: dict[str, list[str]] = {}
    for done, (trace, targets_here) in enumerate(zip(traces, of_trace, strict=True), start=1):
        waveform_XT, reason = _read(dataset, trace)
        if reason:
            left_out.setdefault(reason, []).append(str(dataset.metadata["trace_name"].iloc[trace]))
        for target in targets_here.tolist() if not reason else ():
            for windows in by_length.values():
                windows.add(waveform_XT, target, start_N[target], end_N[target])
        progress(done, len(traces))
    for line in left_out_lines(left_out, len(traces)):
        logger.warning("%s: %s", dataset.path, line)
    for windows in by_length.values():
        windows.answer()
    return {name: Answers(*fields) for name, fields in found.items()}


def _read(dataset: sbd.WaveformDataset, trace: int) -> tuple[np.ndarray, str]:
    """The waveform (X, T) of a trace, float32 without gaps; and why it is of no use, "" where it is."""
    try:
        waveform_XT, _ = dataset.get_sample(trace)
    except (KeyError, IndexError):
        return np.empty((len(COMPONENT_ORDER), 0), dtype=np.float32), NO_WAVEFORM
    if reason := why_useless(waveform_XT):
        return waveform_XT, reason
    return without_gaps(waveform_XT).astype(np.float32, copy=False), ""


class _Windows:
    """Windows of one length, answered a batch at a time."""

    def __init__(self, length: int, pickers: Mapping[str, TaskPicker], found: Mapping[str, np.ndarray]) -> None:
        self.length, self.pickers, self.found = length, pickers, found
        self.raw_BXT = np.zeros((BATCH, len(COMPONENT_ORDER), length), dtype=np.float32)
        self.place_B: list[tuple[int, int, int, int]] = []
        """Target, first sample of the window in its trace, and from where to where it counts."""

    def add(self, waveform_XT: np.ndarray, target: int, start: int, end: int) -> None:
        for first in _firsts(self.length, start, end, waveform_XT.shape[1]):
            raw_XT = self.raw_BXT[len(self.place_B)]
            part_XT = waveform_XT[:, first : first + self.length]
            raw_XT[:, : part_XT.shape[1]], raw_XT[:, part_XT.shape[1] :] = part_XT, 0
            self.place_B.append((target, first, max(start - first, 0), min(end - first, self.length)))
            if len(self.place_B) == BATCH:
                self.answer()

    def answer(self) -> None:
        if not self.place_B:
            return
        raw_BXT = torch.from_numpy(self.raw_BXT[: len(self.place_B)].copy())
        batch = Batch(raw_BXT, normalise(raw_BXT), labels_BCT=torch.empty(0))
        for name, picker in self.pickers.items():
            _keep(_highest(picker.probabilities(batch), picker.classes, self.place_B), self.place_B, self.found[name])
        self.place_B = []


def _firsts(length: int, start: int, end: int, num_samples: int) -> list[int]:
    """Where the windows of a network begin that are to say something of a target."""
    spare = length - (end - start)
    if spare >= 0:
        return [max(0, min(start - spare // 2, num_samples - length) if spare else start)]
    count = int(np.ceil(-spare / (length / 2))) + 1
    return np.linspace(start, end - length, count).astype(int).tolist()


def _highest(curves_BCT: np.ndarray, classes: str, place_B: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    """The fields of `Answers` (field, B). An answer that is not a number counts as 0."""
    curves_BCT = np.nan_to_num(curves_BCT)
    if NOISE in classes:
        event_BT = 1 - curves_BCT[:, classes.index(NOISE)]
    elif DETECTION in classes:
        event_BT = curves_BCT[:, classes.index(DETECTION)]
    else:
        event_BT = np.minimum(curves_BCT[:, 0] + curves_BCT[:, 1], 1)
    values = np.empty((len(_FIELDS), len(place_B)))
    for b, (_, first, begin, end) in enumerate(place_B):
        p_T, s_T = curves_BCT[b, :2, begin:end]
        p, s = int(p_T.argmax()), int(s_T.argmax())
        values[:, b] = event_BT[b, begin:end].max(), p_T[p], s_T[s], first + begin + p, first + begin + s
    return values


def _keep(values: np.ndarray, place_B: Sequence[tuple[int, int, int, int]], found: np.ndarray) -> None:
    """The highest of each target so far, with where it lies."""
    for b, (target, *_) in enumerate(place_B):
        for value, sample in ((0, None), (1, 3), (2, 4)):
            if not found[value, target] >= values[value, b]:
                found[value, target] = values[value, b]
                if sample is not None:
                    found[sample, target] = values[sample, b]
