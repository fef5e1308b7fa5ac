"""A teacher labels continuous waveforms once, and whoever trains or is measured sees what belongs to its split."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from recorded import START, lively_teacher, write_network, write_noise

from trainables.data import stream_labels, streams
from trainables.data.batches import arrivals_inside
from trainables.data.config import DataConfig
from trainables.data.continuous import SAMPLE_NS, open_continuous
from trainables.data.seal import Opening
from trainables.data.stream_batches import open_stream_dev
from trainables.data.streams import check_streams, few_picks, open_streams, streams_fingerprint, which_held_out
from trainables.data.teacher_picks import as_network, picks_in
from trainables.data.windowing import Windowing
from trainables.models.teacher import TeacherEnsemble

SPLITS = ("train", "dev")


@pytest.fixture(scope="module")
def teacher():
    return lively_teacher()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_network(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="module")
def config(folder, tmp_path_factory) -> DataConfig:
    return DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path_factory.mktemp("cache")})


def test_samples_and_picks_are_those_of_the_time_they_say(config, folder, teacher):
    store = open_streams(config, teacher, "train")
    continuous = open_continuous([folder])
    network = as_network(teacher, config.streams_threshold)
    for n in range(len(store)):
        stretch = next(one for one in continuous.stretches if one.station == store.station_N[n])
        first = (int(store.start_ns_N[n]) - stretch.start_ns) // SAMPLE_NS
        raw_XT = continuous.read(stretch, first, first + int(store.length_N[n]))
        np.testing.assert_array_equal(store.counts(n, 0, int(store.length_N[n])), raw_XT)
        picks = store.pick_K[store.first_pick_N[n] : store.first_pick_N[n + 1]]
        assert len(picks) > 10
        np.testing.assert_array_equal(picks, [pick.sample for pick in picks_in(network, raw_XT)])


def test_a_phase_is_labelled_where_the_teachers_picks_are_the_reference_alone(config, teacher):
    train, dev = (open_streams(config, teacher, split) for split in SPLITS)
    assert not train.labelled_NP.any()
    assert dev.labelled_NP.all()


def test_pieces_share_hours_without_a_gap_and_no_pick_is_there_twice(monkeypatch, folder, tmp_path, teacher):
    monkeypatch.setattr(stream_labels, "BLOCK_SAMPLES", 20_000)
    config = DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path})
    store = open_streams(config, teacher, "train")
    assert len(store) > 4
    starts = store.start_ns_N[store.span_trace_W] // SAMPLE_NS + store.span_low_W
    ends = store.start_ns_N[store.span_trace_W] // SAMPLE_NS + store.span_high_W - 3000
    same = store.station_N[store.span_trace_W][1:] == store.station_N[store.span_trace_W][:-1]
    np.testing.assert_array_equal(starts[1:][same], ends[:-1][same])
    of_trace_K = np.repeat(np.arange(len(store)), np.diff(store.first_pick_N))
    time_K = (store.start_ns_N[of_trace_K] // SAMPLE_NS + store.pick_K).astype(np.int64)
    told = list(zip(store.station_N[of_trace_K], store.pick_phase_K, time_K, strict=True))
    own = [one for one, is_own in zip(told, store.own_pick_K, strict=True) if is_own]
    assert len(own) == len(set(own)) == len(set(told))


def test_held_out_hours_are_sealed(config, teacher):
    with pytest.raises(ValueError, match="the test split is sealed"):
        open_streams(config, teacher, "test")
    opening = Opening(which_held_out(config), 1)
    held_out = open_streams(config, teacher, "test", opening)
    dev = open_streams(config, teacher, "dev")
    assert held_out.start_ns_N.min() > dev.start_ns_N.max()
    assert len(open_stream_dev(config, teacher, opening=opening)) > 0


def test_the_teacher_is_asked_once(config, teacher, monkeypatch):
    open_streams(config, teacher, "train")
    monkeypatch.setattr(streams, "_build", lambda *args: pytest.fail("labelled again"))
    open_streams(config, teacher, "dev")
    open_streams(config, teacher, "dev", windowing=Windowing(6000, around=500))


def test_a_build_that_was_killed_leaves_nothing_that_looks_like_a_store(folder, tmp_path, teacher, monkeypatch):
    config = DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path})
    monkeypatch.setattr(streams, "_columns", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_streams(config, teacher, "train")
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")] == []


def test_several_processes_write_the_same_as_one(folder, tmp_path, teacher, monkeypatch):
    stores = []
    for number, hours_each in enumerate((100, 0.01)):
        monkeypatch.setattr(stream_labels, "HOURS_EACH", hours_each)
        monkeypatch.setattr(stream_labels, "cores", lambda: 2)
        config = DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path / str(number)})
        stores.append(open_streams(config, teacher, "train"))
    one, several = stores
    np.testing.assert_array_equal(one.samples, several.samples)
    np.testing.assert_array_equal(one.pick_K, several.pick_K)


def test_half_precision_keeps_counts_to_a_thousandth_of_the_peak(config, folder, tmp_path, teacher):
    small = DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path, "store_dtype": "float16"})
    exact, rounded = open_streams(config, teacher, "dev"), open_streams(small, teacher, "dev")
    difference = np.abs(exact.counts(0, 0, 9000) - rounded.counts(0, 0, 9000)).max()
    assert difference < 1e-3 * np.abs(exact.counts(0, 0, int(exact.length_N[0]))).max()


def test_several_teachers_pick_as_their_mean(folder, teacher):
    mean = as_network(TeacherEnsemble([teacher, teacher]), 0.3)
    raw_XT = open_continuous([folder]).read(open_continuous([folder]).stretches[0], 0, 20_000)
    assert [pick[:2] for pick in picks_in(mean, raw_XT)] == [
        pick[:2] for pick in picks_in(as_network(teacher, 0.3), raw_XT)
    ]


def test_what_data_sets_hold_is_no_training_window_and_counted(config, teacher, caplog):
    whole = open_streams(config, teacher, "train")
    held = [("XX.ST00", START.ns + 300 * 10**9, START.ns + 420 * 10**9), ("ST01", START.ns, START.ns + 10**12)]
    with caplog.at_level(logging.WARNING):
        left = open_streams(config, teacher, "train", labelled=held)
    assert left.hours < whole.hours - 0.1
    assert any("are left out of training, because data.dataset holds them" in line for line in caplog.messages)
    for n, low, high in zip(left.span_trace_W, left.span_low_W, left.span_high_W, strict=True):
        begin_ns, end_ns = (int(left.start_ns_N[n]) + int(sample) * SAMPLE_NS for sample in (low, high))
        its = [one for one in held if left.station_N[n].endswith(one[0])]
        assert all(end_ns <= since or begin_ns >= until for _, since, until in its)


def test_a_teacher_that_hardly_picks_is_said_with_what_to_do(config, teacher, folder, tmp_path):
    assert not few_picks(open_streams(config, teacher, "train"))
    deaf = DataConfig.model_validate({"streams": str(folder), "cache_dir": tmp_path, "streams_threshold": 0.999})
    said = few_picks(open_streams(deaf, teacher, "train"))
    assert "a lower data.streams_threshold or another teacher" in said
    assert "fewer than 50" in said


def test_the_fingerprint_is_of_what_files_hold(config, folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copy")
    copy = DataConfig(dataset=[], streams=[str(copied)])
    assert streams_fingerprint(copy) == streams_fingerprint(config)
    write_noise(copied, "ST01", seed=1)
    assert streams_fingerprint(copy) != streams_fingerprint(config)


def test_files_that_came_since_an_archive_was_looked_at_are_seen(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copy")
    config = DataConfig(dataset=[], streams=[str(copied)])
    before = check_streams(config)[0].stations
    write_noise(copied, "ST07", seed=1)
    assert check_streams(config)[0].stations == sorted([*before, "XX.ST07"])


def test_dev_windows_lie_side_by_side_with_the_teachers_picks_as_truth(config, teacher):
    dev = open_stream_dev(config, teacher)
    (windows,) = dev.windows
    assert len(dev) == len(dev.events) > 20
    assert len(np.unique(dev.events)) <= 4
    time_B = dev.store.start_ns_N[windows.trace_B] // SAMPLE_NS + windows.start_B
    for station in ("XX.ST00", "XX.ST01"):
        assert np.diff(np.sort(time_B[dev.store.station_N[windows.trace_B] == station])).min() >= 3001
    arrivals = arrivals_inside(dev.store, windows, is_masked=True)
    assert sum(len(one["P"]) for one in arrivals if one["P"] is not None) > 5
