"""What pretraining learns from and what is held out, of data sets with and without splits of their own.

No label is looked at, but whatever somebody may be scored on later is left alone: a split `test`, and of an imported
earthquake sequence its dev and test too.
"""

# N trace of the data set

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from trainables.data.catalog import no_split
from trainables.data.sequence import PART_COLUMN, open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import SPLITS, split_sequence
from trainables.data.splits import event_ids

HELD_OUT = 0.15
"""Share of events, stations or time that is held out where a data set does not say what is."""

RULES = 1
"""Version of what this file does: part of the name of every store that depends on it."""

NumClasses = Literal[2, 4, 8, 9]

_STATION = ["station_network_code", "station_code"]


@dataclasses.dataclass(frozen=True)
class WaveformSplits:
    """Who learns and who is held out."""

    split_N: np.ndarray
    """`train`, `dev`, or "" for what is not read, of each row of the metadata."""
    said: str
    """How they were made, in words that follow the name of the data set; "" where they are its own."""

    def rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split_N == split)


def waveform_splits(dataset: str, metadata: pd.DataFrame, num_classes: NumClasses | None = None) -> WaveformSplits:
    """The data set's own train and dev. Where it has none: by event, else by station, else by time, seeded.

    Of an imported sequence what is training for fine-tuning with `num_classes`, None: with whatever number. Raises
    ValueError in one line where it has splits of other names, or is a sequence that cannot be split.
    """
    if PART_COLUMN in metadata:
        return _of_sequence(dataset, metadata, num_classes)
    if "split" not in metadata or metadata["split"].isna().all():
        split_N, way = _by_event_station_or_time(dataset, metadata, np.ones(len(metadata), dtype=bool))
        return WaveformSplits(split_N, f"it has no splits: {_held_out(split_N, way)}")
    own_N = metadata["split"].to_numpy()
    is_train_N, is_dev_N = own_N == "train", own_N == "dev"
    if not is_train_N.any():
        raise ValueError(no_split(f"data.dataset={dataset}", metadata, "train"))
    if is_dev_N.any():
        return WaveformSplits(np.where(is_train_N | is_dev_N, own_N, "").astype(str), "")
    split_N, way = _by_event_station_or_time(dataset, metadata, is_train_N)
    return WaveformSplits(split_N, f"its split dev is empty: of split train {_held_out(split_N, way)}")


def _of_sequence(dataset: str, metadata: pd.DataFrame, num_classes: NumClasses | None) -> WaveformSplits:
    """Rows that train, of events that are in dev or test for none of the numbers of classes that it can have."""
    sequence = open_sequence(dataset)
    source_N = sequence.metadata["source_id"].to_numpy()
    trains_N, is_scored_N = np.zeros((2, len(sequence)), dtype=bool)
    counted: list[int] = []
    reason = ""
    for number in get_args(NumClasses) if num_classes is None else (num_classes,):
        try:
            rows = split_sequence(sequence, SequenceDataConfig(dataset=dataset, num_classes=number))
        except ValueError as error:
            reason = str(error)
            continue
        counted.append(number)
        trains_N[rows["train"].trace_R] = True
        scored = np.concatenate([rows[split].trace_R for split in SPLITS if split != "train"])
        is_scored_N |= np.isin(source_N, source_N[scored])
    if not counted:
        raise ValueError(f"data.dataset={dataset}: {reason}")
    split_N, way = _by_event_station_or_time(dataset, metadata, trains_N & ~is_scored_N)
    classes = f"{_listed(counted)} classes"
    return WaveformSplits(
        split_N,
        f"an earthquake sequence: {(split_N != '').sum()} of its {len(sequence)} traces are read, which are dev and "
        f"test for none of {classes}; of these {_held_out(split_N, way)}",
    )


def _by_event_station_or_time(dataset: str, metadata: pd.DataFrame, is_ours_N: np.ndarray) -> tuple[np.ndarray, str]:
    """A split for each trace, and which are held out, of those that are ours."""
    ours = metadata[is_ours_N]
    if len(ours) < 2:
        raise ValueError(
            f"data.dataset={dataset}: {len(ours)} traces to learn from: at least 2 are needed, as one is held out"
        )
    if "source_id" in ours and ours["source_id"].nunique() > 1:
        found, way = _divided(event_ids(ours)), "by event"
    elif set(_STATION) <= set(ours.columns) and len(ours[_STATION].dropna().drop_duplicates()) > 1:
        found, way = _divided(ours[_STATION].astype(str).agg(".".join, axis=1).to_numpy()), "by station"
    else:
        found, way = _latest(ours), "the latest"
    split_N = np.full(len(metadata), "", dtype="<U5")
    split_N[is_ours_N] = found
    return split_N, way


def _divided(group_N: np.ndarray) -> np.ndarray:
    groups, group_of_trace = np.unique(group_N.astype(str), return_inverse=True)
    num_held_out = max(1, round(HELD_OUT * len(groups)))
    is_held_out = np.zeros(len(groups), dtype=bool)
    is_held_out[np.random.default_rng([0x5117, RULES]).permutation(len(groups))[:num_held_out]] = True
    return np.where(is_held_out[group_of_trace], "dev", "train")


def _latest(metadata: pd.DataFrame) -> np.ndarray:
    """The last traces by their start; without times the last rows."""
    order = np.arange(len(metadata))
    if "trace_start_time" in metadata:
        times = pd.to_datetime(metadata["trace_start_time"], errors="coerce", utc=True, format="ISO8601")
        order = np.argsort(times.to_numpy(), kind="stable")  # NaT last
    split_N = np.full(len(metadata), "train", dtype="<U5")
    split_N[order[-max(1, round(HELD_OUT * len(order))) :]] = "dev"
    return split_N


def _held_out(split_N: np.ndarray, way: str) -> str:
    return f"{(split_N == 'dev').sum()} traces are held out ({way}), {(split_N == 'train').sum()} train"


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last
