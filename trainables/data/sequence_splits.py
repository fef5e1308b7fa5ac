"""Train, dev and test of a sequence: the published protocol exactly, and one whose dev and test never move."""

# R row (a trace that balancing kept)

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trainables.data.sequence import Sequence
from trainables.data.sequence_classes import Labelled, class_names, label_traces
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.splits import share_of

SPLITS = ("train", "dev", "test")
TRAIN_SHARE, DEV_SHARE, TEST_SHARE = 0.7, 0.1, 0.2
MIN_EVENTS = 10
"""Below this many events of a class a tenth of them is none, and dev has nothing of the class."""

EventSets = dict[str, np.ndarray]
"""source_ids by split."""


@dataclass(frozen=True)
class SplitRows:
    """The traces of one split, as row numbers of the sequence, and their classes."""

    trace_R: np.ndarray
    label_R: np.ndarray

    def __len__(self) -> int:
        return len(self.trace_R)


def split_sequence(sequence: Sequence, config: SequenceDataConfig) -> dict[str, SplitRows]:
    """Rows of train, dev and test as `config` says.

    Raises ValueError in one line where a class has too few events, or the few-shot fraction leaves it without any.
    """
    labelled = label_traces(sequence, config.num_classes, config.split_seed)
    source_R = sequence.metadata["source_id"].to_numpy()[labelled.trace_R]
    events = (_published if config.protocol == "published" else _fixed)(labelled, source_R, config)
    splits = {}
    for split in SPLITS:
        chosen_R = np.isin(source_R, events[split])
        splits[split] = SplitRows(labelled.trace_R[chosen_R], labelled.label_R[chosen_R])
    _check_classes(splits, config)
    return splits


def leaked_events(sequence: Sequence, splits: dict[str, SplitRows]) -> list[int]:
    """Events with traces in more than one split: never with protocol fixed, possible with the published one."""
    sources = {name: set(sequence.metadata["source_id"].to_numpy()[rows.trace_R]) for name, rows in splits.items()}
    shared = set().union(*(one & other for one, other in combinations(sources.values(), 2)))
    return sorted(int(event) for event in shared)


def _published(labelled: Labelled, source_R: np.ndarray, config: SequenceDataConfig) -> EventSets:
    """The published code's events. There a few-shot fraction is a smaller training share, which moves the others."""
    train_share = round(TRAIN_SHARE * config.few_shot_fraction, 12)
    if config.split_method == "random":
        return _random_events(source_R, config.split_seed, train_share)
    found: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for label, events in _events_by_class(labelled, source_R, config.num_classes):
        _check_count(len(events), label, config)
        half = int(int(len(events) * train_share) / 2)
        if half == 0:  # in the published code a slice [-0:] then takes all events, dev and test among them
            raise _emptied(config, label)
        for split, part in _edges_and_middle(events, half).items():
            found[split].append(part)
    return {split: np.concatenate(parts) for split, parts in found.items()}


def _fixed(labelled: Labelled, source_R: np.ndarray, config: SequenceDataConfig) -> EventSets:
    """The same cuts at the full training share; the fraction then takes a part of training alone.

    An event with traces in two classes belongs to the earlier one and goes whole.
    """
    by_class = dict(_own_events_by_class(labelled, source_R, config.num_classes))
    if config.split_method == "random":
        sets = _random_events(source_R, config.split_seed, TRAIN_SHARE)
    else:
        found: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
        for label, events in by_class.items():
            _check_count(len(events), label, config)
            half = int(int(len(events) * TRAIN_SHARE) / 2)
            for split, part in _edges_and_middle(events, half).items():
                found[split].append(part)
        sets = {split: np.concatenate(parts) for split, parts in found.items()}
    if config.few_shot_fraction < 1:
        kept = []
        for label, events in by_class.items():
            in_training = events[np.isin(events, sets["train"])]
            kept.append(_few_shot(in_training, label, config))
        sets["train"] = np.concatenate(kept)
    return sets


def _few_shot(events: np.ndarray, label: int, config: SequenceDataConfig) -> np.ndarray:
    """A prefix of one seeded order of the class's training events: smaller fractions lie inside larger ones."""
    count = share_of(len(events), config.few_shot_fraction, math.floor, least=0)
    if count == 0:
        raise _emptied(config, label, len(events))
    order = np.random.default_rng([config.few_shot_seed, label, 0x5EED]).permutation(len(events))
    return np.sort(events)[order[:count]]


def _edges_and_middle(events: np.ndarray, half: int) -> EventSets:
    """First and last `half` train; dev and test follow the first half; the rest is dropped."""
    dev_end = half + int(len(events) * DEV_SHARE)
    test_end = dev_end + int(len(events) * TEST_SHARE)
    return {
        "train": np.concatenate([events[:half], events[len(events) - half :]]),
        "dev": events[half:dev_end],
        "test": events[dev_end:test_end],
    }


def _random_events(source_R: np.ndarray, seed: int, train_share: float) -> EventSets:
    events = np.unique(source_R)
    np.random.RandomState(seed).shuffle(events)
    # The sum is taken as the published code takes it: 0.7 + 0.1 is a little less than 0.8.
    train_end, dev_end = int(len(events) * train_share), int(len(events) * (train_share + DEV_SHARE))
    return {"train": events[:train_end], "dev": events[train_end:dev_end], "test": events[dev_end:]}


def _events_by_class(labelled: Labelled, source_R: np.ndarray, num_classes: int) -> Iterator[tuple[int, np.ndarray]]:
    """Of each class its events in the order of their first trace there."""
    for label in range(num_classes):
        of_class = source_R[labelled.label_R == label]
        _, first = np.unique(of_class, return_index=True)
        yield label, of_class[np.sort(first)]


def _own_events_by_class(
    labelled: Labelled, source_R: np.ndarray, num_classes: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The same without events that an earlier class has already."""
    taken = np.empty(0, dtype=source_R.dtype)
    for label, events in _events_by_class(labelled, source_R, num_classes):
        own = events[~np.isin(events, taken)]
        taken = np.concatenate([taken, own])
        yield label, own


def _check_count(num_events: int, label: int, config: SequenceDataConfig) -> None:
    if num_events < MIN_EVENTS:
        raise ValueError(
            f"data.num_classes={config.num_classes}: class {label} ({class_names(config.num_classes)[label]}) has "
            f"{num_events} events and train, dev and test need at least {MIN_EVENTS}"
        )


def _check_classes(splits: dict[str, SplitRows], config: SequenceDataConfig) -> None:
    for label in range(config.num_classes):
        if not (splits["train"].label_R == label).any():
            raise _emptied(config, label)
    for split in SPLITS:
        if not len(splits[split]):
            raise ValueError(f"data.num_classes={config.num_classes}: too few events, split {split} has none")


def _emptied(config: SequenceDataConfig, label: int, num_events: int | None = None) -> ValueError:
    at_least = f"; it has {num_events}, so at least {1 / num_events:.3g} is needed" if num_events else ""
    return ValueError(
        f"data.few_shot_fraction={config.few_shot_fraction:g}: leaves class {label} "
        f"({class_names(config.num_classes)[label]}) without any training event{at_least}"
    )
