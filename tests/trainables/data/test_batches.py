"""Batched augmentation equals SeisBench's own pipeline, sample by sample, for the same random draws."""

from __future__ import annotations

import numpy as np
import pytest
import seisbench.data as sbd
import seisbench.generate as sbg
import torch

from trainables.data.batches import (
    DevWindows,
    cut,
    default_dev_windows_per_trace,
    make_batch,
    normalise,
    training_batches,
)
from trainables.data.catalog import PICK_COLUMNS, load_dataset
from trainables.data.config import DataConfig
from trainables.data.draws import choose_windows
from trainables.data.windows import open_store

TRAIN = "train"


class Draws:
    """SeisBench's two draws of a sample, made by a seeded generator and written down as numbers in [0, 1)."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.uniform: list[float] = []

    def choice(self, candidates: list[float]) -> float:
        return candidates[self._place(len(candidates))]

    def randint(self, low: int, high: int) -> int:
        return low + self._place(high - low)

    def _place(self, count: int) -> int:
        place = int(self.rng.integers(count))
        self.uniform.append((place + 0.5) / count)
        return place


def seisbench_pipeline(dataset: sbd.WaveformDataset, sigma: int = 30) -> tuple[sbg.GenericGenerator, list]:
    """The prescribed augmentations, with a copy of the raw window kept."""
    columns = {column: phase for column, phase in PICK_COLUMNS.items() if column in dataset.metadata}
    generator = sbg.GenericGenerator(dataset)
    generator.add_augmentations(
        [
            sbg.WindowAroundSample(
                list(columns), samples_before=3000, windowlen=6000, selection="random", strategy="variable"
            ),
            sbg.RandomWindow(windowlen=3001, strategy="pad"),
            sbg.Copy(("X", "raw")),
            sbg.Normalize(demean_axis=-1, detrend_axis=-1, amp_norm_axis=-1, amp_norm_type="peak"),
            sbg.ChangeDtype(np.float32),
            sbg.ProbabilisticLabeller(label_columns=columns, model_labels="PSN", sigma=sigma, dim=0),
        ]
    )
    return generator


def assert_equal_to_seisbench(folder, cache_dir, monkeypatch, draws_per_trace: int) -> None:
    config = DataConfig(dataset=str(folder), cache_dir=cache_dir)
    store = open_store(config, TRAIN)
    dataset = load_dataset(str(folder)).train()
    generator = seisbench_pipeline(dataset)
    trace_B, uniform_BU, expected = [], [], []
    for n in range(len(dataset)):
        for seed in range(draws_per_trace):
            draws = Draws(seed)
            monkeypatch.setattr("seisbench.generate.windows.np.random.choice", draws.choice)
            monkeypatch.setattr("seisbench.generate.windows.np.random.randint", draws.randint)
            expected.append(generator[n])
            monkeypatch.undo()
            trace_B.append(n)
            uniform_BU.append(draws.uniform)
    windows = choose_windows(store, np.array(trace_B), np.array(uniform_BU))
    batch = make_batch(store, windows, cut(store, windows), config.sigma_samples, "cpu")
    for b, sample in enumerate(expected):
        peak = max(1.0, np.abs(sample["raw"]).max())
        np.testing.assert_allclose(batch.raw_BXT[b], sample["raw"], rtol=0, atol=1e-6 * peak)
        np.testing.assert_allclose(batch.normalised_BXT[b], sample["X"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(batch.labels_BCT[b], sample["y"], rtol=0, atol=1e-5)


EDGE_CASES = {
    "pick near the start": (9000, {"trace_P_arrival_sample": 40, "trace_S_arrival_sample": 400}),
    "pick on the first sample": (9000, {"trace_P_arrival_sample": 0}),
    "pick before the trace": (9000, {"trace_P_arrival_sample": -20, "trace_S_arrival_sample": 90}),
    "pick near the end": (9000, {"trace_P_arrival_sample": 8700, "trace_S_arrival_sample": 8990}),
    "pick on the last sample": (9000, {"trace_S_arrival_sample": 8999}),
    "pick behind the trace": (4000, {"trace_P_arrival_sample": 8200, "trace_S_arrival_sample": 3700}),
    "window longer than the trace": (1200, {"trace_P_arrival_sample": 300, "trace_S_arrival_sample": 700}),
    "trace of one window": (3001, {"trace_P_arrival_sample": 1500, "trace_S_arrival_sample": 1900}),
    "trace one sample short": (3000, {"trace_P_arrival_sample": 1500, "trace_S_arrival_sample": 1900}),
    "missing S": (9000, {"trace_P_arrival_sample": 4000}),
    "missing P": (9000, {"trace_S_arrival_sample": 4000}),
    "no pick": (9000, {}),
    "no pick, short trace": (2000, {}),
    "two picks of a phase": (
        9000,
        {"trace_Pg_arrival_sample": 4060, "trace_Pn_arrival_sample": 4000, "trace_Sg_arrival_sample": 4400},
    ),
    "two picks far apart": (16000, {"trace_Pn_arrival_sample": 3500, "trace_Sn_arrival_sample": 12000}),
    "P and S overlap": (9000, {"trace_P_arrival_sample": 4000, "trace_S_arrival_sample": 4035}),
    "P and S together": (9000, {"trace_P_arrival_sample": 4000, "trace_S_arrival_sample": 4000}),
    "fraction of a sample": (9000, {"trace_P_arrival_sample": 2999.4, "trace_S_arrival_sample": 4000.7}),
    "flat": (9000, {"trace_P_arrival_sample": 4000}),
    "large offset": (9000, {"trace_P_arrival_sample": 4000}),
}


@pytest.fixture(scope="module")
def edge_cases(tmp_path_factory, write_dataset):
    rng = np.random.default_rng(1)
    traces = []
    for name, (num_samples, picks) in EDGE_CASES.items():
        waveform_XT = np.cumsum(rng.standard_normal((3, num_samples)), axis=1) * 100
        waveform_XT = {"flat": waveform_XT * 0, "large offset": waveform_XT + 1e5}.get(name, waveform_XT)
        traces.append(
            (waveform_XT.astype(np.float32), {"trace_name_original": name, "split": "train", **picks})
        )
    return write_dataset(tmp_path_factory.mktemp("edge_cases"), traces)


def test_edge_cases_equal_seisbench(edge_cases, tmp_path, monkeypatch):
    assert_equal_to_seisbench(edge_cases, tmp_path, monkeypatch, draws_per_trace=12)


def test_real_records_equal_seisbench(shared_data, tmp_path, monkeypatch):
    assert_equal_to_seisbench(
        shared_data / "real_data/phasenet_nc_a", tmp_path, monkeypatch, draws_per_trace=2
    )
