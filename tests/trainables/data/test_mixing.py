"""Batches of several sources keep the shares, depend on positions alone, and mask what one source does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables.data.batches import Batch
from trainables.data.config import DataConfig
from trainables.data.draws import Windows
from trainables.data.mixing import Keys, Source, mixed_batches, training_batches, windows_of_each
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_store

BOTH = {"trace_P_arrival_sample": 2000, "trace_S_arrival_sample": 2600}
P_ONLY = {"trace_P_arrival_sample": 1000}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> list[WindowStore]:
    """Of three data sets whose every sample says which it is: 1 with P and S at 100 Hz, 2 with P alone at 50 Hz, 3."""
    folder, found = tmp_path_factory.mktemp("sources"), []
    for number, picks, rate_hz, num_traces in ((1, BOTH, 100.0, 5), (2, P_ONLY, 50.0, 3), (3, BOTH, 100.0, 4)):
        traces = [(np.full((3, 5000), float(number)), {"split": "train", **picks}) for _ in range(num_traces)]
        data = write_dataset(folder / str(number), traces, sampling_rate_hz=rate_hz)
        config = DataConfig(dataset=str(data), cache_dir=folder / "stores")
        found.append(open_store(config, "train", windowing=Windowing(around=100, detection=True)))
    return found


CONFIG = DataConfig(dataset="several")


def drawn(sources: list[Source], **keys) -> list[Batch]:
    options = {"seed": 0, "epoch": 0, "num_steps": 3, "batch_size": 8, "device": "cpu"} | keys
    return list(mixed_batches(sources, CONFIG, **options))


def source_of(batch: Batch) -> list[int]:
    """Which data set each window is of."""
    return batch.raw_BXT[:, 0].amax(dim=-1).round().int().tolist()


@settings(max_examples=50, deadline=None)
@given(
    shares=st.lists(st.floats(0.001, 1), min_size=1, max_size=5),
    batch_size=st.integers(1, 70),
    epoch=st.integers(0, 1000),
)
def test_a_batch_is_as_near_to_the_shares_as_whole_numbers_allow_and_so_are_many(shares, batch_size, epoch):
    share_S = np.array(shares)
    counts = np.array([windows_of_each(share_S, batch_size, epoch, step) for step in range(200)])
    wanted_S = batch_size * share_S / share_S.sum()
    assert (counts.sum(axis=1) == batch_size).all()
    assert (np.abs(counts - wanted_S) < 1 + 1e-6).all()
    assert (np.abs(counts.sum(axis=0) - 200 * wanted_S) < 5).all()


def test_whole_shares_are_exact_in_every_batch():
    assert {tuple(windows_of_each(np.array([3.0, 1.0]), 8, 0, step)) for step in range(50)} == {(6, 2)}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 99), batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
def test_the_joint_batch_does_not_depend_on_how_many_workers_share_it(stores, seed, epoch, batch_size, world_size):
    sources = [Source(stores[0], 0.5), Source(stores[1], 0.3), Source(stores[2], 0.2)]
    keys = {"seed": seed, "epoch": epoch, "num_steps": 2, "batch_size": batch_size}
    whole = drawn(sources, **keys)
    parts = [drawn(sources, **keys, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([of_rank[step].raw_BXT for of_rank in parts]), batch.raw_BXT)
        assert torch.equal(torch.cat([of_rank[step].labels_BCT for of_rank in parts]), batch.labels_BCT)


def test_each_worker_gets_a_mixture(stores):
    sources = [Source(stores[0], 1), Source(stores[2], 1)]
    for rank in range(2):
        (batch,) = drawn(sources, num_steps=1, rank=rank, world_size=2)
        assert sorted(source_of(batch)) == [1, 1, 3, 3]


def test_a_window_of_one_source_is_what_that_source_gives_alone_at_its_place(stores):
    """Each trace of a source comes once before one comes twice, whatever else is in the batches."""
    seen: list[int] = []

    def noted(store: WindowStore, config: DataConfig, keys: Keys) -> Windows:
        seen.extend(keys.local_B.tolist())
        none_B = np.zeros_like(keys.local_B)
        return Windows(keys.local_B % len(store), none_B, none_B, none_B + 3001)

    batches = drawn([Source(stores[0], 0.63), Source(stores[2], 0.37, noted)])
    assert seen == list(range(sum(source == 3 for batch in batches for source in source_of(batch))))


def test_one_source_gives_what_it_gives_alone(stores):
    keys = {"seed": 3, "epoch": 2, "num_steps": 2, "batch_size": 5, "device": "cpu"}
    alone = list(training_batches(stores[0], CONFIG, **keys))
    beside_nothing = drawn([Source(stores[0], 0.2)], **keys)
    assert all(torch.equal(a.raw_BXT, b.raw_BXT) for a, b in zip(alone, beside_nothing, strict=True))


def test_what_one_source_does_not_know_is_masked_in_its_windows_alone(stores):
    (batch,) = drawn([Source(stores[0], 1), Source(stores[1], 1)], num_steps=1)
    assert batch.labelled_BP is not None
    assert batch.labelled_BP.tolist() == [[True, source == 1] for source in source_of(batch)]
    (known,) = drawn([Source(stores[0], 1), Source(stores[2], 1)], num_steps=1)
    assert known.labelled_BP is None


def test_labels_detection_and_what_is_around_stay_with_their_windows(stores):
    (batch,) = drawn([Source(stores[0], 1), Source(stores[1], 1)], num_steps=1, batch_size=16)
    assert batch.around_BXT is not None
    assert batch.detection_BT is not None
    assert batch.around_BXT.shape == (16, 3, 3201)
    assert torch.equal(batch.around_BXT[..., 100:-100], batch.raw_BXT)
    for b, source in enumerate(source_of(batch)):
        assert (batch.labels_BCT[b, 1].max() > 0) <= (source == 1)
        assert (batch.detection_BT[b].max() > 0) <= (source == 1)
        assert (batch.labels_BCT[b, 0].max() > 0.9) >= (source == 2)
