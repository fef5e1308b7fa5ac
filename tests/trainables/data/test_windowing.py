from __future__ import annotations

import numpy as np
import pytest
import seisbench.generate as sbg
import torch

from trainables.data.batches import DevWindows, cut
from trainables.data.config import DataConfig
from trainables.data.detection import detection_labels
from trainables.data.draws import Windows, choose_windows, uniform
from trainables.data.mixing import training_batches
from trainables.data.onsets import onsets_of
from trainables.data.windowing import PRESCRIBED, Windowing
from trainables.data.windows import open_store


@pytest.fixture
def config(tiny) -> DataConfig:
    return DataConfig.model_validate(tiny["data"])


def test_windows_of_3001_are_drawn_from_seisbenchs_6000_samples():
    assert (PRESCRIBED.samples_before, PRESCRIBED.span_samples) == (3000, 6000)


def test_a_store_changes_only_where_what_it_keeps_changes(config):
    prescribed = open_store(config, "dev")
    assert open_store(config, "dev", windowing=Windowing()).fingerprint == prescribed.fingerprint
    assert open_store(config, "dev", windowing=Windowing(detection=True)).fingerprint == prescribed.fingerprint
    others = [Windowing(6000), Windowing(512), Windowing(around=1500)]
    assert len({open_store(config, "dev", windowing=one).fingerprint for one in others} | {prescribed.fingerprint}) == 4


@pytest.mark.parametrize("num_samples", [512, 3001, 5500])
def test_batches_have_the_length_that_is_wanted(config, num_samples):
    store = open_store(config, "train", windowing=Windowing(num_samples))
    (batch,) = training_batches(store, config, seed=0, epoch=1, num_steps=1, batch_size=16, device="cpu")
    assert batch.raw_BXT.shape == batch.normalised_BXT.shape == batch.labels_BCT.shape == (16, 3, num_samples)
    assert batch.labels_BCT[:, :2].amax(dim=(1, 2)).gt(0.9).float().mean() > 0.5, "most windows have a pick"
    for dev, arrivals in DevWindows(open_store(config, "dev", windowing=Windowing(num_samples)), config).batches(8):
        assert dev.raw_BXT.shape[-1] == num_samples
        assert all((window["P"] >= 0).all() and (window["P"] < num_samples).all() for window in arrivals)


def test_what_is_around_a_window_is_what_the_trace_has_there(config):
    alone, wide = (open_store(config, "dev", windowing=Windowing(around=around)) for around in (0, 1500))
    trace_B = np.repeat(np.arange(len(alone)), 3)
    uniform_BU = uniform(0, 0, np.arange(len(trace_B)))
    raw_BXT = cut(alone, choose_windows(alone, trace_B, uniform_BU))
    windows = choose_windows(wide, trace_B, uniform_BU)
    around_BXT = cut(wide, windows)
    assert around_BXT.shape[-1] == 6001
    np.testing.assert_array_equal(around_BXT[..., 1500:4501], raw_BXT)
    for around_XT, trace, start in zip(around_BXT, trace_B, windows.start_B, strict=True):
        whole_XT = wide.counts(trace, 0, int(wide.length_N[trace]))
        padded_XT = np.pad(whole_XT, ((0, 0), (6001, 6001)))
        np.testing.assert_array_equal(around_XT, padded_XT[:, start - 1500 + 6001 : start + 4501 + 6001])


def test_a_scaled_window_is_scaled_with_what_is_around_it(config):
    config = config.model_copy(update={"max_amplitude_scale": 3.0, "max_time_shift_s": 1.0})
    store = open_store(config, "train", windowing=Windowing(around=200))
    (batch,) = training_batches(store, config, seed=0, epoch=1, num_steps=1, batch_size=8, device="cpu")
    torch.testing.assert_close(batch.around_BXT[..., 200:3201], batch.raw_BXT)


def test_detections_are_labelled_as_seisbench_does(config):
    store = open_store(config, "dev", windowing=Windowing(2000, detection=True))
    trace_B = np.arange(len(store))
    windows = choose_windows(store, trace_B, uniform(1, 0, trace_B))
    found_BT = detection_labels(onsets_of(store, windows), len(store), 2000, "cpu").numpy()
    for trace, start, found_T in zip(trace_B, windows.start_B, found_BT, strict=True):
        picks = slice(store.first_pick_N[trace], store.first_pick_N[trace + 1])
        onset_K, phase_K = store.pick_K[picks] - start, store.pick_phase_K[picks]
        metadata = {name: next(iter(onset_K[phase_K == code]), np.nan) for code, name in enumerate("PS")}
        labeller = sbg.DetectionLabeller("P", "S", key=("X", "y"), dim=0)
        state = {"X": (np.zeros((3, 2000)), metadata)}
        labeller(state)
        np.testing.assert_array_equal(found_T, state["y"][0][0])
    assert 0 < found_BT.mean() < 1


def test_a_detection_reaches_from_outside_into_the_window(config):
    store = open_store(config, "dev", windowing=Windowing(500, detection=True))
    trace = next(n for n in range(len(store)) if store.first_pick_N[n + 1] - store.first_pick_N[n] == 2)
    p, s = np.sort(store.pick_K[store.first_pick_N[trace] : store.first_pick_N[trace] + 2])
    start = int(s) + 10
    windows = Windows(*(np.array([value]) for value in (trace, start, 0, 10_000)))
    label_T = detection_labels(onsets_of(store, windows), 1, 500, "cpu")[0]
    assert label_T.sum() == min(500, int(s + 1.4 * (s - p) - start))
    assert label_T[0] == 1
