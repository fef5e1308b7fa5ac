"""The window store: built once, completely or not at all, of what is needed and nothing else."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainables.data import store_folder, store_parts, windows
from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.seal import Opening
from trainables.data.windows import a_few, open_store, which_test_split

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def config(tmp_path, write_dataset, ramps):
    return DataConfig(dataset=str(write_dataset(tmp_path / "ramps", ramps)), cache_dir=tmp_path / "stores")


def opened(config: DataConfig) -> Opening:
    return Opening(which_test_split(config), 1)


def folders(config: DataConfig) -> list[str]:
    return sorted(path.name for path in config.cache_dir.iterdir() if path.is_dir())


def change_metadata(config: DataConfig, row: int, **values: Any) -> None:
    metadata = pd.read_csv(f"{config.dataset}/metadata.csv")
    for column, value in values.items():
        if column in metadata and not isinstance(value, str):
            metadata[column] = metadata[column].astype(float)
        metadata.loc[row, column] = value
    metadata.to_csv(f"{config.dataset}/metadata.csv", index=False)


def test_the_test_split_is_sealed(config):
    for opening in (None, Opening("another test split", 1)):
        with pytest.raises(ValueError, match="the test split is sealed: `seisweep promote` opens it"):
            open_store(config, "test", opening)
    assert not config.cache_dir.exists()
    assert open_store(config, "test", opened(config)).split == "test"


def test_only_the_needed_part_is_stored(config):
    store = open_store(config, "train")
    assert len(store) == 3
    assert store.length_N.tolist() == [6400] * 3  # from 3000 before P to 3000 after S
    assert store.samples.size == 3 * store.length_N.sum()
    np.testing.assert_array_equal(
        store.counts(1, 5, 8), [[235, 236, 237], [10235, 10236, 10237], [20235, 20236, 20237]]
    )


def test_picks_are_relative_to_the_stored_part(config):
    store = open_store(config, "train")
    assert store.pick_K.tolist() == [3000, 3400] * 3
    assert store.pick_phase_K.tolist() == [0, 1] * 3
    assert store.first_pick_N.tolist() == [0, 2, 4, 6]
    assert store.trace_name_N.tolist() == ["trace0", "trace3", "trace6"]


def test_long_traces_are_cut(tmp_path, write_dataset):
    picks = {"trace_P_arrival_sample": 50_000, "trace_S_arrival_sample": 50_500}
    noise_XT = np.random.default_rng(0).standard_normal((3, 100_000)).astype(np.float32)
    traces = [(noise_XT, {"split": "train", **picks})]
    config = DataConfig(dataset=str(write_dataset(tmp_path / "long", traces)), cache_dir=tmp_path / "stores")
    assert open_store(config, "train").length_N.tolist() == [6500]
    shifting = config.model_copy(update={"max_time_shift_s": 2.0})
    assert open_store(shifting, "train").length_N.tolist() == [8500]  # room for shifts up to 10 s


def test_it_is_built_once(config, monkeypatch):
    first = open_store(config, "train")
    monkeypatch.setattr(windows, "load_dataset", lambda name: pytest.fail("built again"))
    second = open_store(config, "train")
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.samples, first.samples)


def test_fractions_share_dev_but_not_train(config):
    few = config.model_copy(update={"few_shot_fraction": 0.3})
    whole_train, few_train = open_store(config, "train"), open_store(few, "train")
    assert len(few_train) == 1
    assert few_train.fingerprint != whole_train.fingerprint
    assert set(few_train.trace_name_N) < set(whole_train.trace_name_N)
    for split in ("dev", "test"):
        stores = [open_store(settings, split, opened(config)) for settings in (few, config)]
        assert stores[0].fingerprint == stores[1].fingerprint
    assert len(folders(config)) == 4


def test_settings_of_windows_and_labels_share_a_store(config):
    other = config.model_copy(update={"sigma_samples": 20.0, "dev_windows_per_trace": 3, "max_amplitude_scale": 2.0})
    assert open_store(other, "train").fingerprint == open_store(config, "train").fingerprint


def test_missing_samples_become_zeros(tmp_path, write_dataset, ramps):
    waveform_XT = ramps[0][0].copy()
    waveform_XT[1, 3000:3100] = np.nan
    folder = write_dataset(tmp_path / "holes", [(waveform_XT, ramps[0][1])])
    store = open_store(DataConfig(dataset=str(folder), cache_dir=tmp_path / "stores"), "train")
    assert np.isfinite(store.samples).all()
    assert store.counts(0, 2800, 2900)[1].tolist() == [0] * 100


# When building fails.


def test_a_failed_build_leaves_nothing(config, monkeypatch):
    whole = store_parts.needed_part

    def fails_at_third(waveform_XT, metadata, *settings):
        if metadata["trace_name"] == "trace6":
            raise KeyboardInterrupt
        return whole(waveform_XT, metadata, *settings)

    monkeypatch.setattr(store_parts, "needed_part", fails_at_third)
    with pytest.raises(KeyboardInterrupt):
        open_store(config, "train")
    assert folders(config) == []
    monkeypatch.undo()
    assert len(open_store(config, "train")) == 3


def test_what_a_killed_build_left_is_removed(config):
    key = open_store(config, "train").fingerprint
    shutil.rmtree(config.cache_dir / key)
    stale = config.cache_dir / f".building-{key}-99999"
    stale.mkdir()
    (stale / "samples.bin").write_bytes(b"half a store")
    assert len(open_store(config, "train")) == 3
    assert folders(config) == [key]


def test_a_disk_that_is_too_small_is_one_line(config, monkeypatch):
    monkeypatch.setattr(store_folder.shutil, "disk_usage", lambda path: Usage(10**6, 10**6, 200_000))
    with pytest.raises(ValueError, match=r"take 0\.\d+ GB .* data\.store_dtype=float16") as error:
        open_store(config, "train")
    assert "\n" not in str(error.value)
    assert folders(config) == []


def test_half_precision_needs_half_the_disk(config, monkeypatch):
    monkeypatch.setattr(store_folder.shutil, "disk_usage", lambda path: Usage(10**6, 10**6, 150_000))
    half = config.model_copy(update={"store_dtype": "float16"})
    with pytest.raises(ValueError, match="GB free"):
        open_store(config, "train")
    store = open_store(half, "train")
    assert store.samples.dtype == np.float16
    assert store.samples.nbytes < 150_000


def test_a_cache_that_cannot_be_written_is_one_line(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"data\.cache_dir=.*cannot be written"):
        open_store(config.model_copy(update={"cache_dir": tmp_path / "file" / "stores"}), "train")


def test_a_damaged_trace_is_named(config, damage):
    damage(Path(config.dataset), "trace3")
    with pytest.raises(ValueError, match="trace trace3 cannot be read"):
        open_store(config, "train")


def test_a_row_without_waveform_is_left_out_and_counted(config, caplog):
    change_metadata(config, 3, trace_name="absent")
    said = "1 of 3 traces left out: no waveform in the file; the first is absent"
    for _ in range(2):  # when it is built, and when it is there already
        caplog.clear()
        store = open_store(config, "train")
        assert [record.getMessage() for record in caplog.records] == [
            f"data.dataset={config.dataset}, split train: {said}"
        ]
        assert store.trace_name_N.tolist() == ["trace0", "trace6"]
        assert store.row_N.tolist() == [0, 6]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "no signal (NaN or one value throughout)"),
        (0.0, "no signal"),
        (-12.5, "no signal"),
        (None, "no samples"),
    ],
)
def test_a_trace_without_signal_is_left_out(tmp_path, write_dataset, ramps, value, reason):
    dead_XT = np.empty((3, 0), np.float32) if value is None else np.full((3, 9000), value, np.float32)
    traces = [(dead_XT, ramps[0][1]), *ramps]
    config = DataConfig(dataset=str(write_dataset(tmp_path / "dead", traces)), cache_dir=tmp_path / "stores")
    store = open_store(config, "train")
    assert len(store) == 3
    (line,) = store.left_out_J
    assert line.startswith(f"1 of 4 traces left out: {reason}")


def test_events_are_those_of_the_traces_that_are_left(config):
    change_metadata(config, 1, trace_name="absent")
    dev = DevWindows(open_store(config, "dev"), config, "cpu")
    metadata = pd.read_csv(f"{config.dataset}/metadata.csv")
    expected = metadata[(metadata["split"] == "dev") & (metadata["trace_name"] != "absent")]["source_id"]
    assert list(dict.fromkeys(dev.events)) == expected.astype(str).tolist()


@pytest.mark.parametrize("outside", [-200, -999, -0.5, 7000, 12_000, 1e9])
def test_a_pick_outside_its_trace_is_none(config, outside):
    change_metadata(config, 3, trace_S_arrival_sample=outside)
    store = open_store(config, "train")
    assert np.diff(store.first_pick_N).tolist() == [2, 1, 2]
    assert store.left_out_J.tolist() == ["1 picks lie outside their traces and do not count"]
    assert store.length_N[1] == 6000  # its window does not reach for what is not there


def test_where_all_picks_lie_outside_nothing_is_trained(config):
    metadata = pd.read_csv(f"{config.dataset}/metadata.csv")
    metadata["trace_S_arrival_sample"] = 12_000
    metadata.to_csv(f"{config.dataset}/metadata.csv", index=False)
    with pytest.raises(ValueError, match=r"no S pick in split train; .*; 3 picks lie outside their traces"):
        open_store(config, "train")


def test_a_split_whose_traces_are_all_dead_is_refused(tmp_path, write_dataset, ramps):
    traces = [(np.full_like(waveform_XT, np.nan), metadata) for waveform_XT, metadata in ramps]
    config = DataConfig(dataset=str(write_dataset(tmp_path / "dead", traces)), cache_dir=tmp_path / "stores")
    with pytest.raises(ValueError, match=r"no trace of split train can be used: 3 of 3 traces left out: no signal"):
        open_store(config, "train")
    assert folders(config) == []


def test_numbered_arrivals_are_read(config):
    change_metadata(
        config, 0, trace_P_1_arrival_sample=4000.0, trace_P_2_arrival_sample=4700.0, trace_PcP_2_arrival_sample=1
    )
    store = open_store(config, "train")
    assert (store.pick_K[: store.first_pick_N[1]] + 200).tolist() == [3200, 3600, 4000, 4700]
    assert store.pick_phase_K[: store.first_pick_N[1]].tolist() == [0, 1, 0, 0]


def test_the_first_arrival_under_two_names_counts_once(config):
    metadata = pd.read_csv(f"{config.dataset}/metadata.csv")
    metadata["trace_P_1_arrival_sample"] = metadata["trace_P_arrival_sample"]
    metadata.to_csv(f"{config.dataset}/metadata.csv", index=False)
    assert np.diff(open_store(config, "train").first_pick_N).tolist() == [2, 2, 2]


def test_a_nan_does_not_spread_over_a_resampled_trace(tmp_path, write_dataset, ramps):
    waveform_XT = np.random.default_rng(0).standard_normal((3, 4500)).astype(np.float32)
    waveform_XT[:, 2000:2010] = np.nan
    picks = {"split": "train", "trace_P_arrival_sample": 1500, "trace_S_arrival_sample": 1700}
    folder = write_dataset(tmp_path / "at_50_hz", [(waveform_XT, picks)], sampling_rate_hz=50.0)
    store = open_store(DataConfig(dataset=str(folder), cache_dir=tmp_path / "stores"), "train")
    assert (store.samples != 0).mean() > 0.99


def test_a_split_without_traces_is_one_line(config):
    metadata = pd.read_csv(f"{config.dataset}/metadata.csv")
    metadata[metadata.split != "test"].to_csv(f"{config.dataset}/metadata.csv", index=False)
    with pytest.raises(ValueError, match="no trace in split test"):
        open_store(config, "test", opened(config))


def _open(settings: dict, queue: multiprocessing.Queue) -> None:
    store = open_store(DataConfig(**settings), "train")
    queue.put((store.fingerprint, float(store.samples.sum(dtype=np.float64))))


def test_processes_that_start_together_share_one_store(config):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    builders = [context.Process(target=_open, args=(config.model_dump(), queue)) for _ in range(2)]
    for builder in builders:
        builder.start()
    results = [queue.get(timeout=120) for _ in builders]
    for builder in builders:
        builder.join()
    assert results[0] == results[1]
    assert folders(config) == [results[0][0]]


def test_a_few_traces_are_spread_over_their_split_and_lie_where_they_are_asked_for(earthquakes, tmp_path):
    config = DataConfig(dataset=str(earthquakes), cache_dir=tmp_path / "cache")
    some, num_traces = a_few(config, "train", 4, tmp_path / "few")
    assert not (tmp_path / "cache").exists()
    whole = open_store(config, "train")
    assert (len(some), num_traces) == (4, len(whole))
    assert some.trace_name_N[[0, -1]].tolist() == whole.trace_name_N[[0, -1]].tolist()
    again, num_again = a_few(config, "train", 4, tmp_path / "none")
    assert (len(again), num_again) == (len(whole), len(whole)), "the whole one is there now"
    assert not (tmp_path / "none").exists()
