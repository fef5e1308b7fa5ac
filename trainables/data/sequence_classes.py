"""Classes of a sequence: equal-count bins of time before and after the mainshock, Visso between them.

Balancing and binning follow the published code step by step, so that its splits come out exactly.
"""

# N trace of the sequence, R row (a trace that balancing kept)

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainables.data.sequence import PART_COLUMN, PARTS, Sequence


class Labelled(NamedTuple):
    """The traces that balancing keeps, each with its class."""

    trace_R: np.ndarray
    """Row numbers of the sequence, of each class in the order of time."""
    label_R: np.ndarray
    """0 is the earliest class."""


def class_names(num_classes: int) -> list[str]:
    """Names for tables and figures, in the order of the labels."""
    if num_classes == 2:
        return ["pre", "post"]
    bins = range(1, num_classes // 2 + 1)
    visso = ["visso"] if num_classes % 2 else []
    return [f"pre {n}" for n in bins] + visso + [f"post {n}" for n in bins]


def label_traces(sequence: Sequence, num_classes: int, seed: int) -> Labelled:
    """Shuffle each part and cut it to the length that makes classes equal, then bin by trace_start_time.

    Raises ValueError in one line where a part that is needed has no trace.
    """
    bins = num_classes // 2
    parts = [part for part in PARTS if part != "visso" or num_classes % 2]
    # The published code seeds numpy's global generator and lets scikit-learn shuffle with it; this is the same.
    random = np.random.RandomState(seed)
    trace_of = {part: _shuffled(sequence, part, random) for part in parts}
    for part, of_part in trace_of.items():
        if not len(of_part):
            raise ValueError(
                f"data.num_classes={num_classes}: needs the part {part!r}, of which this data set has no trace"
                + ("; import it with its Visso file, or take 2, 4 or 8 classes" if part == "visso" else "")
            )
    num_side = min(len(trace_of["pre"]), len(trace_of["post"]))
    if "visso" in trace_of:
        num_side = min(num_side, len(trace_of["visso"]) * bins)
        trace_of["visso"] = trace_of["visso"][: num_side // bins]
        num_side = num_side // bins * bins

    traces: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    first_label = {"pre": 0, "visso": bins, "post": num_classes - bins}
    for part in parts:
        bins_of_part = 1 if part == "visso" else bins
        kept = trace_of[part] if part == "visso" else trace_of[part][:num_side]
        kept = _by_time(sequence, kept)
        size = len(kept) // bins_of_part
        traces.append(kept[: size * bins_of_part])
        labels.append(first_label[part] + np.repeat(np.arange(bins_of_part), size))
    return Labelled(np.concatenate(traces), np.concatenate(labels).astype(np.int64))


def _shuffled(sequence: Sequence, part: str, random: np.random.RandomState) -> np.ndarray:
    traces = np.flatnonzero(sequence.metadata[PART_COLUMN].to_numpy() == part)
    order = np.arange(len(traces))
    random.shuffle(order)
    return traces[order]


def _by_time(sequence: Sequence, traces: np.ndarray) -> np.ndarray:
    """In the order of the times as they are written, like the published code."""
    return sequence.metadata["trace_start_time"].iloc[traces].sort_values().index.to_numpy()
