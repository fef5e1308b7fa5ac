"""Several data sets: batches keep the shares, depend on positions alone, and mask what one data set does not know; dev
and test are those of all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables import metrics
from trainables.data.batches import Batch, DevWindows
from trainables.data.catalog import fingerprint
from trainables.data.config import DataConfig
from trainables.data.draws import Windows
from trainables.data.mixing import Keys, Source, labelled_sources, mixed_batches, training_batches, windows_of_each
from trainables.data.seal import Opening
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_stores, which_test_split
from trainables.evaluation.counts import COUNTS_FILE, read_counts
from trainables.picking import PickingConfig, preflight, train
from trainables.run import LocalRun
from trainables.training.picker import check_data

BOTH = {"trace_P_arrival_sample": 2000, "trace_S_arrival_sample": 2600}
P_ONLY = {"trace_P_arrival_sample": 1000}
DATA_SETS = {1: (BOTH, 100.0, 5), 2: (P_ONLY, 50.0, 3), 3: (BOTH, 100.0, 4)}
"""Arrivals, sampling rate and training traces of each; one trace more is in dev, and one in test."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> DataConfig:
    """Three data sets with the same names of events, whose every sample is a thousand times the data set's number."""
    folder, rng, names = tmp_path_factory.mktemp("sources"), np.random.default_rng(0), []
    for number, (picks, rate_hz, num_traces) in DATA_SETS.items():
        traces = [
            (
                1000.0 * number + rng.standard_normal((3, 5000)),
                {"split": split, "source_id": f"event {place}", "source_magnitude": number, **picks},
            )
            for place, split in enumerate(["train"] * num_traces + ["dev", "test"])
        ]
        names.append(str(write_dataset(folder / str(number), traces, sampling_rate_hz=rate_hz)))
    return DataConfig(dataset=names, cache_dir=folder / "stores", dev_windows_per_trace=3)


@pytest.fixture(scope="module")
def stores(config: DataConfig) -> list[WindowStore]:
    return open_stores(config, "train", windowing=Windowing(around=100, detection=True))


CONFIG = DataConfig(dataset="of no matter")


def drawn(sources: list[Source], **keys) -> list[Batch]:
    options = {"seed": 0, "epoch": 0, "num_steps": 3, "batch_size": 8, "device": "cpu"} | keys
    return list(mixed_batches(sources, CONFIG, **options))


def source_of(batch: Batch) -> list[int]:
    """Which data set each window is of."""
    return (batch.raw_BXT[:, 0].amax(dim=-1) / 1000).round().int().tolist()


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


# What several data sets are, named as one.


def test_shares_are_those_given_else_by_number_of_training_traces(config, stores):
    assert [source.share for source in labelled_sources(config, stores)] == [5, 3, 4]
    few = config.model_copy(update={"few_shot_fraction": 0.4})
    assert [source.share for source in labelled_sources(few, open_stores(few, "train"))] == [2, 2, 2]
    given = config.model_copy(update={"shares": [2.0, 0.0, 1.0]})
    assert [(len(source.store), source.share) for source in labelled_sources(given, stores)] == [(5, 2.0), (4, 1.0)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": []}, "no data set is given"),
        ({"dataset": ["A", "B", "A"]}, "A is named twice"),
        ({"dataset": ["A", "B"], "shares": [1.0]}, "1 for 2 data sets; one is given for each"),
        ({"dataset": "A", "shares": [1.0, 1.0]}, "2 for 1 data sets"),
        ({"dataset": ["A", "B"], "shares": [0.0, 0.0]}, "0, 0: none may be below 0, and one must be above"),
        ({"dataset": ["A", "B"], "shares": [-1.0, 2.0]}, "-1, 2: none may be below 0"),
    ],
)
def test_data_sets_and_shares_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate(settings)


def test_what_was_recorded_of_one_data_set_loads():
    assert DataConfig.model_validate({"dataset": "ETHZ", "few_shot_fraction": 0.5}).only == "ETHZ"


def test_dev_is_that_of_all_data_sets_one_after_the_other(config):
    dev = DevWindows(open_stores(config, "dev"), config)
    assert len(dev) == 9
    assert dev.phases == ("P", "S")
    whole = [pair for batch, found in dev.batches(2) for pair in zip(source_of(batch), found, strict=True)]
    assert [source for source, _ in whole] == [1] * 3 + [2] * 3 + [3] * 3
    assert [arrivals["S"] is None for _, arrivals in whole] == [source == 2 for source, _ in whole]
    assert all(len(arrivals["P"]) == 1 for source, arrivals in whole if source == 2)
    parts = [source for rank in range(4) for batch, _ in dev.batches(2, rank, 4) for source in source_of(batch)]
    assert parts == [source for source, _ in whole]


def test_dev_windows_are_as_many_as_all_traces_together_want(config):
    default = config.model_copy(update={"dev_windows_per_trace": None})
    stores = open_stores(default, "train")
    assert DevWindows(stores, default).windows_per_trace == 20
    assert DevWindows(stores * 10, default).windows_per_trace == 2000 // 120


def test_events_of_different_data_sets_are_not_taken_for_one(config):
    dev = DevWindows(open_stores(config, "dev"), config)
    names = ["event 5", "event 3", "event 4"]
    prints = [fingerprint(name) for name in config.dataset]
    assert list(dict.fromkeys(dev.events)) == [" ".join(pair) for pair in zip(prints, names, strict=True)]
    alone = config.each[0]
    assert set(DevWindows(open_stores(alone, "dev"), alone).events) == {"event 5"}


def test_the_seal_is_that_of_all_test_splits(config):
    name = which_test_split(config)
    assert all(fingerprint(one) in name for one in config.dataset)
    assert which_test_split(config.model_copy(update={"dataset": config.dataset[::-1]})) == name
    for opening in (None, Opening(which_test_split(config.each[0]), 1)):
        with pytest.raises(ValueError, match="sealed"):
            open_stores(config, "test", opening)
    assert [len(store) for store in open_stores(config, "test", Opening(name, 1))] == [1, 1, 1]


def test_facts_are_of_all_and_what_is_wrong_names_its_data_set(config, tmp_path, write_dataset):
    facts = check_data(config)
    assert facts["dataset"] == ", ".join(config.dataset)
    assert facts["data_fingerprint"] == "+".join(map(fingerprint, config.dataset))
    assert facts["traces"] == " + ".join(f"train {number}, dev 1, test 1" for number in (5, 3, 4))
    assert f"{config.dataset[1]}: S is not labelled in 5 of 5 traces" in facts["data_notice"]
    waveform_XT = np.random.default_rng(1).standard_normal((3, 5000))
    no_dev = write_dataset(tmp_path / "no_dev", [(waveform_XT, {"split": "train", **BOTH})])
    with pytest.raises(ValueError, match=f"data.dataset={no_dev}: no trace in split dev"):
        check_data(config.model_copy(update={"dataset": [config.dataset[0], str(no_dev)]}))
    copy = shutil.copytree(config.dataset[0], tmp_path / "copy")
    with pytest.raises(ValueError, match=f"{config.dataset[0]} and {copy} are the same data"):
        check_data(config.model_copy(update={"dataset": [config.dataset[0], str(copy)]}))


def test_a_phase_that_is_missing_everywhere_in_one_is_noise_only_where_that_is_asked(config):
    with pytest.raises(ValueError, match=f"data.dataset={config.dataset[1]}: no S pick in split train"):
        check_data(config.model_copy(update={"missing_phase": "noise"}))


def test_a_picker_trains_on_several_data_sets_of_different_rates_and_labels(config, tiny, tmp_path):
    """Earthquakes with P and S at 100 Hz, and records with P alone at 50 Hz."""
    tiny.pop("teacher")
    data = tiny["data"] | {"dataset": [tiny["data"]["dataset"], config.dataset[1]], "shares": [0.7, 0.3]}
    settings = PickingConfig.model_validate(tiny | {"data": data, "model": {"architecture": "xiaonet"}})
    assert "S is not labelled in 5 of 5 traces" in preflight(settings)["data_notice"]
    train(settings, run := LocalRun(tmp_path / "run"))
    *epochs, final = run.reports
    assert epochs[-1][metrics.TRAIN_LOSS] < epochs[0][metrics.TRAIN_LOSS]
    assert final[metrics.FINAL] == 1
    assert run.checkpoint is not None
    (file,) = run.checkpoint.rglob(COUNTS_FILE)
    events = read_counts(file)["dev"].events
    assert {event.split()[0] for event in events} == set(map(fingerprint, data["dataset"]))
