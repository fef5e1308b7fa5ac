"""Whatever the data set: no event in two splits, and smaller fractions lie inside larger ones."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits import (
    event_ids,
    few_shot_events,
    few_shot_traces,
    share_of,
    shared_events,
    split_by_event,
    split_traces,
)

events_of_traces = st.lists(st.one_of(st.none(), st.integers(0, 30).map(str)), min_size=4, max_size=80)


def table(events: list[str | None], seed: int = 0) -> pd.DataFrame:
    metadata = pd.DataFrame({"trace_name": [f"trace{n}" for n in range(len(events))], "source_id": events})
    return metadata.assign(split=split_by_event(event_ids(metadata), seed))


@given(events=events_of_traces, seed=st.integers(0, 1000))
def test_splits_never_share_an_event(events, seed):
    metadata = table(events, seed)
    assert shared_events(metadata) == []
    assert set(metadata.split) <= {"train", "dev", "test"}
    if len(set(event_ids(metadata))) > 2:
        assert set(metadata.split) == {"train", "dev", "test"}


@given(events=events_of_traces, seed=st.integers(0, 1000), one=st.floats(0.01, 1), other=st.floats(0.01, 1))
def test_fractions_are_nested_and_whole_events(events, seed, one, other):
    metadata = table(events)
    small, large = (set(few_shot_events(metadata, fraction, seed)) for fraction in sorted([one, other]))
    num_events = len(set(event_ids(metadata[metadata.split == "train"])))
    assert small
    assert small <= large
    assert abs(len(large) - max(one, other) * num_events) < 1 or len(large) == 1

    dataset = SimpleNamespace(metadata=metadata)
    kept = few_shot_traces(dataset, max(one, other), seed)
    assert set(kept) <= set(split_traces(dataset, "train"))
    if max(one, other) < 1:
        assert np.isin(event_ids(metadata), list(large)).sum() == len(kept)


def test_fractions_differ_by_seed():
    metadata = table([str(n) for n in range(60)])
    assert set(few_shot_events(metadata, 0.2, 0)) != set(few_shot_events(metadata, 0.2, 1))


@pytest.mark.parametrize(("fraction", "expected"), [(0.05, 2), (0.1, 4), (0.2, 8), (0.5, 20), (1.0, 40)])
def test_fractions_count_events(fraction, expected):
    metadata = pd.DataFrame({"trace_name": range(40), "source_id": range(40), "split": "train"})
    assert len(few_shot_events(metadata, fraction, seed=0)) == expected


def test_traces_without_source_are_events_of_their_own():
    metadata = pd.DataFrame(
        {"trace_name": ["a", "b", "b"], "trace_chunk": ["0", "0", "1"], "source_id": ["e", None, None]}
    )
    assert len(set(event_ids(metadata))) == 3
    assert len(set(event_ids(metadata.drop(columns="source_id")))) == 3
    assert event_ids(metadata)[0] == "e"


def test_shares_are_of_events():
    split = split_by_event(np.arange(1000), seed=0, shares=(0.7, 0.2, 0.1))
    assert [(split == name).sum() for name in ("train", "dev", "test")] == [700, 200, 100]


def test_shared_events_names_leaks():
    metadata = pd.DataFrame(
        {"trace_name": ["a", "b", "c"], "source_id": ["x", "x", "y"], "split": ["train", "dev", "dev"]}
    )
    assert shared_events(metadata) == ["x"]


@pytest.mark.parametrize(
    ("count", "fraction", "up", "down"),
    [(100, 0.07, 7, 7), (100, 0.071, 8, 7), (10, 0.01, 1, 0), (30, 0.1, 3, 3), (7, 1.0, 7, 7), (0, 0.5, 1, 0)],
)
def test_a_share_is_rounded_as_its_caller_says(count, fraction, up, down):
    assert share_of(count, fraction, math.ceil, least=1) == up
    assert share_of(count, fraction, math.floor, least=0) == down
