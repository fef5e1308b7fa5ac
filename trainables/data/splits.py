"""Events and splits: no event lies in two splits, and a few-shot fraction lies inside every larger one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import seisbench.data as sbd


def event_ids(metadata: pd.DataFrame) -> np.ndarray:
    """The event of each trace: `source_id`; the trace itself where that is missing (noise, or no catalogue)."""
    traces = "trace " + metadata["trace_name"].astype(str)
    if "trace_chunk" in metadata:
        traces = traces + " of chunk " + metadata["trace_chunk"].astype(str)
    if "source_id" not in metadata:
        return traces.to_numpy(dtype=str)
    sources = metadata["source_id"]
    return sources.astype(str).where(sources.notna(), traces).to_numpy(dtype=str)


def split_traces(dataset: sbd.WaveformDataset, split: str) -> np.ndarray:
    """Row numbers of the traces of a split."""
    return np.flatnonzero((dataset.metadata["split"] == split).to_numpy())


def events_of_stored(dataset: sbd.WaveformDataset, row_N: np.ndarray, trace_name_N: np.ndarray) -> np.ndarray:
    """The event of each trace of a window store, by its row in the metadata; the names must be the same."""
    assert (dataset.metadata["trace_name"].to_numpy(dtype=str)[row_N] == trace_name_N).all(), "other traces"
    return event_ids(dataset.metadata)[row_N]


def share_of(count: int, fraction: float, rounding: Callable[[float], int], least: int) -> int:
    """How many of `count` things a fraction is, rounded up or down (`math.ceil`, `math.floor`); at least `least`.

    What is a whole number but for the error of a float counts as one: 0.07 of 100 is 7.
    """
    return max(least, rounding(round(fraction * count, 9)))


def few_shot_events(metadata: pd.DataFrame, fraction: float, seed: int) -> np.ndarray:
    """The events that a fraction of the training split keeps: at least one, nested in every larger fraction."""
    events = np.unique(event_ids(metadata[metadata["split"] == "train"]))
    order = np.random.default_rng([seed, 0x5EED]).permutation(len(events))
    return events[order[: share_of(len(events), fraction, math.ceil, least=1)]]


def few_shot_traces(dataset: sbd.WaveformDataset, fraction: float, seed: int) -> np.ndarray:
    """Row numbers of the training traces whose events the fraction keeps; an event goes whole."""
    traces = split_traces(dataset, "train")
    if fraction == 1:
        return traces
    kept = few_shot_events(dataset.metadata, fraction, seed)
    return traces[np.isin(event_ids(dataset.metadata)[traces], kept)]


def shared_events(metadata: pd.DataFrame) -> list[str]:
    """Events that lie in more than one split: a leak of the data set itself."""
    splits_of = pd.Series(metadata["split"].to_numpy()).groupby(event_ids(metadata)).nunique()
    return [str(event) for event in splits_of.index[splits_of > 1]]


def split_by_event(
    events: Sequence[str] | np.ndarray, seed: int, shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
) -> np.ndarray:
    """A split for each trace by its event, with about these shares of events in train, dev and test."""
    unique, event_of_trace = np.unique(np.asarray(events, dtype=str), return_inverse=True)
    num_dev, num_test = (max(1, round(share * len(unique))) if len(unique) > 2 else 0 for share in shares[1:])
    split_of_event = np.full(len(unique), "train", dtype=object)
    order = np.random.default_rng([seed, 0x5117]).permutation(len(unique))
    split_of_event[order[:num_dev]] = "dev"
    split_of_event[order[num_dev : num_dev + num_test]] = "test"
    return split_of_event[event_of_trace]
