"""Order, place and choice of windows each follow a seed of their own, where one is given, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.config import DataConfig
from trainables.data.mixing import Source, mixed_batches
from trainables.data.reordering import rank_in_source, reordered
from trainables.data.windows import WindowStore, open_store

CONFIG = DataConfig(dataset="of no matter")


@given(
    sources=st.lists(st.integers(0, 2), min_size=1, max_size=60),
    length=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 100),
)
def test_a_window_stays_in_its_source_and_in_its_pass(sources, length, seed, epoch):
    source_N = np.array(sources)
    position_N = reordered(source_N, [length, None, length], seed, epoch)
    assert sorted(position_N) == list(range(len(source_N)))
    assert (source_N[position_N] == source_N).all()
    rank_N = rank_in_source(source_N)
    has_passes_N = source_N != 1
    pass_N = rank_N // length
    assert (pass_N[position_N] == pass_N)[has_passes_N].all()


def test_ranks_count_each_source_for_itself():
    assert rank_in_source(np.array([0, 1, 1, 0, 1])).tolist() == [0, 0, 1, 1, 2]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> list[WindowStore]:
    """Two data sets of seven and of four traces; each sample of a trace is its number plus its place in the trace."""
    folder, found = tmp_path_factory.mktemp("reordered"), []
    for name, count in (("one", 7), ("other", 4)):
        ramp_T = np.arange(9000) / 10000
        traces = [
            (
                np.tile(number + 1 + 100 * (name == "other") + ramp_T, (3, 1)),
                {"split": "train", "source_id": f"{number}", "trace_P_arrival_sample": 4000},
            )
            for number in range(count)
        ]
        data = write_dataset(folder / name, traces)
        found.append(open_store(DataConfig(dataset=str(data), cache_dir=folder / "stores"), "train"))
    return found


def windows(stores: list[WindowStore], **keys) -> list[tuple[int, float]]:
    """Of an epoch the trace of each window and its first sample, in their order."""
    options = {"seed": 0, "epoch": 1, "num_steps": 6, "batch_size": 5, "device": "cpu"} | keys
    sources = [Source(store, len(store)) for store in stores]
    firsts = torch.cat([batch.raw_BXT[:, 0, 0] for batch in mixed_batches(sources, CONFIG, **options)])
    return [(int(value), round(value.item() % 1, 4)) for value in firsts]


@pytest.mark.parametrize("which", [slice(0, 1), slice(0, 2)])
def test_another_order_has_the_same_windows(stores, which):
    as_drawn, other = windows(stores[which]), windows(stores[which], order_seed=1)
    assert other != as_drawn
    assert sorted(other) == sorted(as_drawn)
    assert windows(stores[which], order_seed=2) != other
    assert windows(stores[which], order_seed=1) == other


def test_each_pass_over_the_traces_has_each_of_them_in_any_order(stores):
    traces = [trace for trace, _ in windows(stores[:1], order_seed=3, num_steps=7, batch_size=4)]
    for begin in range(0, 28, 7):
        assert sorted(traces[begin : begin + 7]) == list(range(1, 8))


def test_workers_share_the_windows_in_their_other_order(stores):
    whole = windows(stores, order_seed=1, batch_size=6)
    parts = [windows(stores, order_seed=1, batch_size=6, rank=rank, world_size=2) for rank in range(2)]
    shared = [part[step : step + 3] for step in range(0, 18, 3) for part in parts]
    assert [window for three in shared for window in three] == whole


def test_traces_come_as_before_where_only_the_place_of_windows_in_them_has_another_seed(stores):
    as_drawn, moved = windows(stores), windows(stores, seed=9, visit_seed=0)
    assert [trace for trace, _ in moved] == [trace for trace, _ in as_drawn]
    assert [place for _, place in moved] != [place for _, place in as_drawn]
    assert windows(stores, seed=0, visit_seed=0) == as_drawn
    assert [trace for trace, _ in windows(stores, seed=9)] != [trace for trace, _ in as_drawn]
