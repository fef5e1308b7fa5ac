"""Batched augmentation equals SeisBench's own pipeline, sample by sample, and depends on nothing but its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import seisbench.data as sbd
import seisbench.generate as sbg
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables.data.arrivals import PICK_COLUMNS
from trainables.data.batches import (
    Batch,
    DevWindows,
    cut,
    default_dev_windows_per_trace,
    make_batch,
    normalise,
)
from trainables.data.catalog import load_dataset
from trainables.data.config import DataConfig
from trainables.data.draws import choose_windows, visit_order
from trainables.data.mixing import training_batches
from trainables.data.windows import WindowStore, open_store


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


def seisbench_pipeline(dataset: sbd.WaveformDataset) -> sbg.GenericGenerator:
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
            sbg.ProbabilisticLabeller(label_columns=columns, model_labels="PSN", sigma=30, dim=0),
        ]
    )
    return generator


def assert_equal_to_seisbench(
    folder: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, draws_per_trace: int
) -> None:
    config = DataConfig(dataset=str(folder), cache_dir=cache_dir)
    store = open_store(config, "train")
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
    "pick near the end": (9000, {"trace_P_arrival_sample": 8700, "trace_S_arrival_sample": 8990}),
    "pick on the last sample": (9000, {"trace_S_arrival_sample": 8999}),
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
    "one dead component": (9000, {"trace_P_arrival_sample": 4000}),
    "large offset": (9000, {"trace_P_arrival_sample": 4000}),
}


@pytest.fixture(scope="module")
def edge_cases(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> Path:
    rng = np.random.default_rng(1)
    traces = []
    for name, (num_samples, picks) in EDGE_CASES.items():
        waveform_XT = np.cumsum(rng.standard_normal((3, num_samples)), axis=1) * 100
        waveform_XT[1] *= name != "one dead component"
        waveform_XT += 1e5 if name == "large offset" else 0
        traces.append((waveform_XT.astype(np.float32), {"trace_name_original": name, "split": "train", **picks}))
    return write_dataset(tmp_path_factory.mktemp("edge_cases"), traces)


def test_edge_cases_equal_seisbench(edge_cases, tmp_path, monkeypatch):
    assert_equal_to_seisbench(edge_cases, tmp_path, monkeypatch, draws_per_trace=12)


def test_real_records_equal_seisbench(shared_data, tmp_path, monkeypatch):
    assert_equal_to_seisbench(shared_data / "real_data/phasenet_nc_a", tmp_path, monkeypatch, draws_per_trace=2)


def test_synthetic_records_equal_seisbench(earthquakes, tmp_path, monkeypatch):
    assert_equal_to_seisbench(earthquakes, tmp_path, monkeypatch, draws_per_trace=4)


def test_resampled_records_equal_seisbench(write_dataset, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    picks = {"trace_P_arrival_sample": 1000.5, "trace_S_arrival_sample": 1500}
    traces = [(rng.standard_normal((3, 3200)), {"split": "train", **picks}) for _ in range(2)]
    folder = write_dataset(tmp_path / "at_40_hz", traces, sampling_rate_hz=40.0)
    assert_equal_to_seisbench(folder, tmp_path, monkeypatch, draws_per_trace=3)


# Normalisation.


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_normalise_equals_scipy_in_float64(offset):
    raw_XT = (np.random.default_rng(0).standard_normal((3, 3001)).cumsum(axis=1) + offset).astype(np.float32)
    detrended_XT = scipy.signal.detrend(raw_XT.astype(np.float64), axis=-1)
    expected_XT = detrended_XT / np.abs(detrended_XT).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(normalise(torch.from_numpy(raw_XT)), expected_XT, atol=2e-6)


def test_normalise_leaves_its_input_and_ignores_autocast():
    raw_BXT = torch.randn(2, 3, 3001) * 50
    kept_BXT = raw_BXT.clone()
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast_BXT = normalise(raw_BXT)
    assert torch.equal(raw_BXT, kept_BXT)
    assert torch.equal(under_autocast_BXT, normalise(raw_BXT))


@pytest.mark.parametrize("shape", [(3001,), (3, 1), (2, 3, 64)])
def test_normalise_takes_any_shape(shape):
    assert normalise(torch.ones(shape)).abs().max() == 0


def test_normalise_can_be_exported():
    class Module(torch.nn.Module):
        def forward(self, raw_BXT: torch.Tensor) -> torch.Tensor:
            return normalise(raw_BXT)

    raw_BXT = torch.randn(2, 3, 3001)
    exported = torch.export.export(Module(), (raw_BXT,)).module()
    torch.testing.assert_close(exported(raw_BXT), normalise(raw_BXT))


# Random draws.


@pytest.fixture(scope="module")
def ramp_folder(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path], ramps) -> Path:
    return write_dataset(tmp_path_factory.mktemp("ramps"), ramps)


@pytest.fixture(scope="module")
def ramp_store(ramp_folder: Path) -> tuple[WindowStore, DataConfig]:
    config = DataConfig(dataset=str(ramp_folder), cache_dir=ramp_folder / "stores")
    return open_store(config, "train"), config


def draw(store: WindowStore, config: DataConfig, **keys: int) -> Batch:
    """All batches of an epoch, one after the other."""
    options = {"seed": 0, "epoch": 0, "num_steps": 3, "batch_size": 4} | keys
    batches = list(training_batches(store, config, device="cpu", **options))
    return joined(batches)


def joined(batches: list[Batch]) -> Batch:
    """One batch of several; what was not asked for stays away."""
    return Batch(*(None if parts[0] is None else torch.cat(parts) for parts in zip(*batches, strict=True)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32), epoch=st.integers(0, 1000), batch_size=st.integers(1, 9), world_size=st.integers(1, 4)
)
def test_joint_batch_does_not_depend_on_world_size(ramp_store, seed, epoch, batch_size, world_size):
    store, config = ramp_store
    keys = {"seed": seed, "epoch": epoch, "num_steps": 1, "batch_size": batch_size}
    parts = [draw(store, config, **keys, rank=rank, world_size=world_size) for rank in range(world_size)]
    for one, other in zip(joined(parts)[:3], draw(store, config, **keys)[:3], strict=True):
        assert torch.equal(one, other)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 1000), first_steps=st.integers(1, 5))
def test_draws_depend_on_position_only(ramp_store, seed, epoch, first_steps):
    store, config = ramp_store
    longer = draw(store, config, seed=seed, epoch=epoch, num_steps=first_steps + 2)
    shorter = draw(store, config, seed=seed, epoch=epoch, num_steps=first_steps)
    other_cut = draw(store, config, seed=seed, epoch=epoch, num_steps=first_steps * 2, batch_size=2)
    assert torch.equal(longer.raw_BXT[: 4 * first_steps], shorter.raw_BXT)
    assert torch.equal(other_cut.raw_BXT, shorter.raw_BXT)


@pytest.mark.parametrize("keys", [{"seed": 1}, {"epoch": 1}])
def test_seed_and_epoch_change_the_draws(ramp_store, keys):
    store, config = ramp_store
    assert not torch.equal(draw(store, config, **keys).raw_BXT, draw(store, config).raw_BXT)


def test_every_trace_comes_once_a_pass(edge_cases, tmp_path):
    config = DataConfig(dataset=str(edge_cases), cache_dir=tmp_path)
    store = open_store(config, "train")
    chosen = visit_order(seed=3, epoch=5, position_B=np.arange(2 * len(store)), num_traces=len(store))
    passes = [sorted(chosen[: len(store)]), sorted(chosen[len(store) :])]
    assert passes == [list(range(len(store)))] * 2
    assert chosen[: len(store)].tolist() != chosen[len(store) :].tolist()


def test_windows_cover_their_span_evenly(ramp_store):
    store, config = ramp_store
    start_B = draw(store, config, num_steps=200).raw_BXT[:, 0, 0].numpy()
    pick = store.pick_K[0] if len(store.pick_K) else 0
    assert pick == 3200 - 200  # the stored part begins 3000 samples before the first pick
    assert start_B.min() < 400
    assert start_B.max() > 200 + 3400 - 100
    assert abs(np.median(start_B) - 1900) < 200


# Augmentations beyond the prescribed ones.


def test_time_shift_moves_waveform_and_labels_together(ramp_folder):
    config = DataConfig(dataset=str(ramp_folder), cache_dir=ramp_folder / "stores")
    shifted = config.model_copy(update={"max_time_shift_s": 5.0})
    store = open_store(shifted, "train")
    plain, moved = (draw(store, c, num_steps=20) for c in (config, shifted))
    shift_B = moved.raw_BXT[:, 0, 1500] - plain.raw_BXT[:, 0, 1500]  # ramps: counts are sample numbers
    assert shift_B.abs().max() <= 500
    assert shift_B.abs().max() > 400
    assert len(shift_B.unique()) > 20
    for b in range(len(shift_B)):
        shift, peak = int(shift_B[b]), int(plain.labels_BCT[b, 0].argmax())
        if 200 < peak < 2800 and 200 < peak - shift < 2800:
            assert int(moved.labels_BCT[b, 0].argmax()) == peak - shift


def test_amplitude_scale_changes_raw_counts_only(ramp_store):
    store, config = ramp_store
    scaled = config.model_copy(update={"max_amplitude_scale": 4.0})
    plain, louder = draw(store, config), draw(store, scaled)
    ratio_BX = (louder.raw_BXT / plain.raw_BXT)[..., -1]
    assert ratio_BX.min() >= 0.25
    assert ratio_BX.max() <= 4
    assert ratio_BX.flatten().unique().numel() > 30
    assert torch.equal(plain.labels_BCT, louder.labels_BCT)


# Fixed windows.


@pytest.mark.parametrize(("num_traces", "expected"), [(1, 20), (100, 20), (101, 19), (500, 4), (1500, 1), (10**6, 1)])
def test_about_two_thousand_dev_windows(num_traces, expected):
    assert default_dev_windows_per_trace(num_traces) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch_size=st.integers(1, 30), world_size=st.integers(1, 5))
def test_each_dev_window_comes_exactly_once(ramp_store, batch_size, world_size):
    _, config = ramp_store
    windows = DevWindows(open_store(config, "dev"), config)
    assert len(windows) == 3 * windows.windows_per_trace == 60
    whole, _ = next(windows.batches(60))
    parts = [batch.raw_BXT for rank in range(world_size) for batch, _ in windows.batches(batch_size, rank, world_size)]
    assert torch.equal(torch.cat(parts), whole.raw_BXT)


def test_arrivals_are_where_the_labels_peak(edge_cases, tmp_path):
    config = DataConfig(dataset=str(edge_cases), cache_dir=tmp_path, missing_phase="noise")
    windows = DevWindows(open_store(config, "train"), config, seed=1)
    num_checked = 0
    for batch, arrivals in windows.batches(32):
        assert len(arrivals) == len(batch.raw_BXT)
        for labels_CT, truth in zip(batch.labels_BCT, arrivals, strict=True):
            for row, phase in enumerate("PS"):
                assert ((truth[phase] >= 0) & (truth[phase] <= 3000)).all()
                for sample in truth[phase]:
                    assert labels_CT[row, round(sample)] > 0.49  # half where P and S coincide
                    num_checked += 1
    assert num_checked > 50


def test_short_store_keeps_windows_close(edge_cases, tmp_path):
    config = DataConfig(dataset=str(edge_cases), cache_dir=tmp_path, missing_phase="noise")
    half = config.model_copy(update={"store_dtype": "float16"})
    one, other = (draw(open_store(c, "train"), c, num_steps=5) for c in (config, half))
    assert torch.equal(one.labels_BCT, other.labels_BCT)
    assert other.raw_BXT.dtype == torch.float32
    torch.testing.assert_close(one.normalised_BXT, other.normalised_BXT, atol=4e-3, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_batch(ramp_store):
    store, config = ramp_store
    keys = {"seed": 0, "epoch": 0, "num_steps": 1, "batch_size": 8}
    on_cpu, on_gpu = (next(training_batches(store, config, device=device, **keys)) for device in ("cpu", "cuda"))
    for one, other in zip(on_cpu[:3], on_gpu[:3], strict=True):
        torch.testing.assert_close(one, other.cpu(), atol=1e-5, rtol=0)


def test_windows_are_cut_where_they_are_chosen(ramp_store):
    store, config = ramp_store
    windows = choose_windows(store, np.array([0, 1, 2]), np.array([[0.0, 0.0], [0.0, 0.9999], [0.9999, 0.5]]))
    batch = make_batch(store, windows, cut(store, windows), config.sigma_samples, "cpu")
    # Traces 0, 3, 6 of the ramps: P at 3200, 3230, 3260 and S 400 later; spans begin 3000 before a pick.
    assert batch.raw_BXT[:, 0, 0].tolist() == [200, 230 + 2999, 260 + 400 + 1500]
    assert batch.raw_BXT[:, 2, 0].tolist() == [20200, 20230 + 2999, 20260 + 400 + 1500]
