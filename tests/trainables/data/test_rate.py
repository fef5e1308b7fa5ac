"""Windows played faster or slower: waveform and arrivals move as one, and no window reaches beyond its span."""

# B window of a batch, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.data.batches import cut
from trainables.data.config import DataConfig
from trainables.data.draws import Windows
from trainables.data.onsets import onsets_of
from trainables.data.rate import recorded
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_store

SAMPLES = 1000
PICKS = {"trace_P_arrival_sample": 3000, "trace_S_arrival_sample": 3400.5}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> DataConfig:
    """Two traces, a ramp that tells its samples and a wave of 4 Hz."""
    folder = tmp_path_factory.mktemp("rate")
    sample_T = np.arange(9000.0)
    ramp, wave = (np.stack([values] * 3) for values in (sample_T, np.sin(2 * np.pi * 0.04 * sample_T)))
    split = {"split": "train", **PICKS}
    write_dataset(folder / "data", [(values, split) for values in (ramp, wave)])
    return DataConfig(dataset=str(folder / "data"), cache_dir=folder / "stores", rate_change=0.02)


def store_of(config: DataConfig, around: int = 0) -> WindowStore:
    return open_store(config, "train", windowing=Windowing(SAMPLES, around=around))


def windows_of(store: WindowStore, start_B: np.ndarray, trace: int = 0) -> Windows:
    trace_B = np.full(len(start_B), trace)
    return Windows(trace_B, start_B, np.zeros_like(trace_B), store.length_N[trace_B])


def test_arrivals_stay_with_their_waveform_and_what_is_around_it(config):
    store = store_of(config, around=150)
    windows = windows_of(store, np.linspace(200, 1100, 40).astype(int))
    raw_BXT, onsets = recorded(store, windows, config, 0, 1, np.arange(40))
    assert raw_BXT.shape == (40, 3, SAMPLES + 300)
    offset = 3000 - store.pick_K[0]  # samples of the trace before its stored part
    slope_B = np.diff(raw_BXT[:, 0, 50:-50], axis=1).mean(axis=1)
    assert slope_B.min() == pytest.approx(0.98, abs=0.003)
    assert slope_B.max() == pytest.approx(1.02, abs=0.003)
    for b, code, onset in zip(onsets.window_K, onsets.phase_K, onsets.onset_K, strict=True):
        place = onset + 150
        if 10 < place < SAMPLES + 290:
            there = np.interp(place, np.arange(SAMPLES + 300), raw_BXT[b, 2])
            assert there == pytest.approx((3000, 3400.5)[code], abs=0.05)
    assert offset > 0


def test_a_wave_is_a_wave_of_another_frequency(config):
    store = store_of(config)
    raw_BXT, _ = recorded(store, windows_of(store, np.full(5, 600), trace=1), config, 0, 1, np.arange(5))
    power_BF = np.abs(np.fft.rfft(raw_BXT[:, 0] * np.hanning(SAMPLES), n=2**16)) ** 2
    frequency_B = power_BF.argmax(axis=1) / 2**16
    assert len(np.unique(frequency_B)) == 5
    assert np.abs(frequency_B / 0.04 - 1).max() < 0.021
    assert np.abs(raw_BXT).max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("edge", ["low", "high"])
def test_a_window_at_the_edge_of_its_span_hears_nothing_beyond(config, edge):
    """Beyond are zeros: a window that reached there would have a step."""
    store = store_of(config)
    windows = windows_of(store, np.full(30, 500))
    beyond = {"low": windows.start_B} if edge == "low" else {"high": windows.start_B + SAMPLES}
    windows = windows._replace(**{f"{name}_B": values for name, values in beyond.items()})
    raw_BXT, onsets = recorded(store, windows, config, 0, 1, np.arange(30))
    slope_BT = np.diff(raw_BXT[:, 0], axis=1)
    assert slope_BT[:, 5:-5].min() > 0.9
    assert np.abs(slope_BT).max() < 2
    assert len(onsets.onset_K) == 60


def test_off_is_the_window_as_it_was_cut(config):
    store, off = store_of(config), config.model_copy(update={"rate_change": 0.0})
    windows = windows_of(store, np.array([300, 700]))
    raw_BXT, onsets = recorded(store, windows, off, 0, 1, np.arange(2))
    np.testing.assert_array_equal(raw_BXT, cut(store, windows))
    np.testing.assert_equal(onsets, onsets_of(store, windows))
