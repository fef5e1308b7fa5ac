"""Training windows of streams are a function of seed, epoch and position, and as many hold a pick as was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recorded import lively_teacher, write_network

from trainables.data.batches import arrivals_inside
from trainables.data.config import DataConfig
from trainables.data.draws import uniform
from trainables.data.mixing import Keys, mixed_batches
from trainables.data.stream_batches import open_sources, stream_source, stream_windows, tiled
from trainables.data.streams import open_streams
from trainables.data.windowing import PRESCRIBED


@pytest.fixture(scope="module")
def teacher():
    return lively_teacher()


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DataConfig:
    folder = write_network(tmp_path_factory.mktemp("streams"))
    return DataConfig.model_validate(
        {"streams": str(folder), "cache_dir": tmp_path_factory.mktemp("cache"), "streams_threshold": 0.4}
    )


@pytest.fixture(scope="module")
def store(config, teacher):
    return open_streams(config, teacher, "train")


def keys(count: int, epoch: int = 1) -> Keys:
    position_B = np.arange(count)
    return Keys(0, epoch, position_B, position_B, uniform(0, epoch, position_B))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_windows_that_hold_a_pick(config, store, share):
    asked = config.model_copy(update={"streams_around_picks": share})
    windows = stream_windows(store, asked, keys(400))
    inside = (windows.start_B >= windows.low_B) & (windows.start_B + 3001 <= windows.high_B)
    assert inside.all()
    found = arrivals_inside(store, windows)
    around = np.floor((np.arange(400) + 1) * share) > np.floor(np.arange(400) * share)
    assert around.mean() == share
    assert all(len(found[b]["P"]) + len(found[b]["S"]) > 0 for b in np.flatnonzero(around))


def test_every_pick_is_visited_before_one_comes_again(config, store):
    asked = config.model_copy(update={"streams_around_picks": 1.0})
    windows = stream_windows(store, asked, keys(store.num_picks))
    held = set()
    of_trace_K = np.repeat(np.arange(len(store)), np.diff(store.first_pick_N))
    for trace, start in zip(windows.trace_B, windows.start_B, strict=True):
        its = (of_trace_K == trace) & (store.pick_K >= start) & (store.pick_K < start + 3001)
        held |= set(np.flatnonzero(its & store.own_pick_K))
    assert len(held) == store.num_picks


def test_anywhere_is_every_sample_alike(config, store):
    asked = config.model_copy(update={"streams_around_picks": 0.0})
    windows = stream_windows(store, asked, keys(4000))
    share = [(store.station_N[windows.trace_B] == station).mean() for station in ("XX.ST00", "XX.ST01")]
    assert share == pytest.approx([0.5, 0.5], abs=0.03)
    place_B = (windows.start_B - windows.low_B) / (windows.high_B - windows.low_B - 3001)
    assert np.histogram(place_B, 4, (0, 1))[0] / 4000 == pytest.approx([0.25] * 4, abs=0.03)


def test_two_workers_get_the_halves_of_the_joint_batch_and_nothing_is_labelled(config, store):
    source = stream_source(store, config, 0)
    epoch = {"seed": 3, "epoch": 2, "num_steps": 2, "batch_size": 8, "device": "cpu"}
    for whole, *parts in zip(
        mixed_batches([source], config, **epoch),
        mixed_batches([source], config, **epoch, rank=0, world_size=2),
        mixed_batches([source], config, **epoch, rank=1, world_size=2),
        strict=True,
    ):
        torch.testing.assert_close(torch.cat([part.raw_BXT for part in parts]), whole.raw_BXT)
        assert whole.labelled_BP is not None
        assert not whole.labelled_BP.any()


def test_beside_a_data_set_streams_have_their_share_of_every_batch(config, teacher, earthquakes):
    both = config.model_copy(update={"dataset": str(earthquakes), "streams_share": 0.25, "missing_phase": "noise"})
    sources = open_sources(both, teacher, PRESCRIBED)
    (batch,) = mixed_batches(sources, both, seed=0, epoch=1, num_steps=1, batch_size=16, device="cpu")
    assert batch.labelled_BP is not None
    assert batch.labelled_BP.all(dim=1).sum() == 12
    assert (~batch.labelled_BP.any(dim=1)).sum() == 4
    none = both.model_copy(update={"streams_share": 0.0})
    assert len(open_sources(none, teacher, PRESCRIBED)) == 1


def test_many_dev_windows_are_chosen_evenly(store):
    every, few = tiled(store), tiled(store, most=10)
    assert len(few.trace_B) == 10
    assert {*zip(few.trace_B, few.start_B, strict=True)} < {*zip(every.trace_B, every.start_B, strict=True)}
    assert np.bincount(few.trace_B).tolist() == [5, 5]
