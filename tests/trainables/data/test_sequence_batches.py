"""Batches: normalised as SeisBench does, the same joint batch on any number of workers, every dev window once."""

from __future__ import annotations

import numpy as np
import pytest
import seisbench.generate as sbg
import torch

from trainables.data.nrca import import_nrca
from trainables.data.seal import Opening
from trainables.data.sequence_batches import SequenceData, check_data, normalise, open_split, which_test_split
from trainables.data.sequence_config import SequenceDataConfig

CPU = torch.device("cpu")


@pytest.fixture
def config(published_tables, write_published, tmp_path) -> SequenceDataConfig:
    import_nrca(write_published(tmp_path / "published", published_tables), tmp_path / "out")
    return SequenceDataConfig(dataset=str(tmp_path / "out"), num_classes=4)


@pytest.mark.parametrize("kind", ["std", "peak"])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_normalisation_is_seisbenchs(kind, offset):
    raw_BXT = np.random.default_rng(0).normal(offset, 50, size=(4, 3, 2500)).astype(np.float32)
    normalised_BXT = normalise(torch.from_numpy(raw_BXT), kind).numpy()
    augmentation = sbg.Normalize(demean_axis=-1, amp_norm_axis=-1, amp_norm_type=kind)
    for raw_XT, normalised_XT in zip(raw_BXT, normalised_BXT, strict=True):
        state = {"X": (raw_XT.astype(np.float64), {})}
        augmentation(state)
        np.testing.assert_allclose(normalised_XT, state["X"][0], atol=2e-4)


@pytest.mark.parametrize("kind", ["std", "peak"])
def test_a_dead_component_stays_zero(kind):
    raw_BXT = torch.ones(1, 3, 100)
    raw_BXT[0, 0] = torch.linspace(-1, 3, 100)
    normalised_BXT = normalise(raw_BXT, kind)
    assert torch.isfinite(normalised_BXT).all()
    assert normalised_BXT[0, 1:].abs().max() == 0
    size = normalised_BXT[0, 0].std(correction=0) if kind == "std" else normalised_BXT[0, 0].abs().max()
    assert size == pytest.approx(1, abs=1e-5)


def test_windows_are_the_traces_of_the_split(config, published_tables):
    dev = SequenceData.open(config, CPU).dev
    (window_B,) = dev.windows(1000)
    batch = dev.batch(window_B)
    assert batch.waveform_BXT.shape == (len(dev), 3, 50)
    assert batch.window_B.tolist() == list(range(len(dev)))
    assert batch.label_B.tolist() == dev.label_N.tolist()
    np.testing.assert_array_equal(dev.raw(np.array([0])), dev.waveforms_NXT[dev.trace_N[:1]])
    test = open_split(config, "test", CPU, Opening(which_test_split(config), 1))
    assert set(test.trace_N).isdisjoint(dev.trace_N)


def test_the_test_split_is_sealed(config):
    other = config.model_copy(update={"num_classes": 2})
    for opening in (None, Opening(which_test_split(other), 1)):
        with pytest.raises(ValueError, match="the test split is sealed"):
            open_split(config, "test", CPU, opening)
    few = config.model_copy(update={"few_shot_fraction": 0.5})
    assert which_test_split(few) == which_test_split(config), "a fraction of training leaves the test split as it is"


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_dev_window_once(config, world_size):
    dev = SequenceData.open(config, CPU).dev
    seen = [
        window
        for rank in range(world_size)
        for window_B in dev.windows(3, rank, world_size)
        for window in window_B.tolist()
    ]
    assert seen == list(range(len(dev)))


def test_the_joint_batch_does_not_depend_on_workers(config):
    train = SequenceData.open(config, CPU).train

    def order(**workers):
        batches = train.training_windows(seed=1, epoch=2, num_batches=5, batch_size=8, **workers)
        return [window_B.tolist() for window_B in batches]

    halves = [order(rank=rank, world_size=2) for rank in (0, 1)]
    assert [one + other for one, other in zip(*halves, strict=True)] == order()


def test_an_epoch_visits_every_window_and_epochs_differ(config):
    train = SequenceData.open(config, CPU).train
    steps = train.steps_per_pass(8)
    assert 8 * (steps - 1) < len(train) <= 8 * steps
    orders = []
    for seed, epoch in [(0, 1), (0, 1), (0, 2), (1, 1)]:
        batches = train.training_windows(seed=seed, epoch=epoch, num_batches=steps, batch_size=8)
        orders.append([window for window_B in batches for window in window_B.tolist()])
        assert sorted(orders[-1][: len(train)]) == list(range(len(train)))
    assert orders[0] == orders[1] != orders[2] != orders[3]


def test_the_check_tells_what_a_run_should_record(config):
    facts = check_data(config)
    assert facts["events_in_two_splits"] == "0"
    assert facts["data_synthetic"] == "no"
    assert facts["traces"] == "train 32, dev 4, test 8"
    assert facts["data_protocol"] == "fixed, temporal, seed 42"
    assert len(facts["data_fingerprint"]) == 12
