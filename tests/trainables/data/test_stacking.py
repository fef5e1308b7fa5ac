"""What is added to windows: noise at the ratio that was drawn, a second event with its labels, from training alone."""

# B window of a batch, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from seisbench.generate import ProbabilisticLabeller

from trainables.data.augmentations import without_effect
from trainables.data.batches import Batch
from trainables.data.config import DataConfig
from trainables.data.mixing import labelled_sources, mixed_batches
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_store
from trainables.training.picker import check_data

KEYS = {"seed": 2, "epoch": 1, "num_steps": 2, "batch_size": 40, "device": "cpu"}
LENGTH, P = 9000, 4000


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, write_dataset: Callable[..., Path]) -> DataConfig:
    """Twelve records of noise 1 and an event that goes on at 1000, the last of one living component, on an offset."""
    folder, rng = tmp_path_factory.mktemp("stacking"), np.random.default_rng(0)
    traces = []
    for number in range(14):
        waveform_XT = rng.normal(size=(3, LENGTH)) * np.where(np.arange(LENGTH) < P + 10 * number, 1, 1000) + 500
        waveform_XT[:2] *= number != 11
        picks = {"trace_P_arrival_sample": P + 10 * number, "trace_S_arrival_sample": P + 300 + 20 * number}
        split = "train" if number < 12 else ("dev", "test")[number - 12]
        traces.append((waveform_XT.astype(np.float32), {"split": split, "source_id": f"event {number}", **picks}))
    write_dataset(folder / "data", traces)
    return DataConfig(dataset=str(folder / "data"), cache_dir=folder / "stores")


@pytest.fixture(scope="module")
def store(config: DataConfig) -> WindowStore:
    return open_store(config, "train", windowing=Windowing(around=100, detection=True))


def drawn(store: WindowStore, config: DataConfig, keys: dict | None = None, **settings: object) -> Batch:
    changed = DataConfig.model_validate(config.model_dump() | settings)
    batches = list(mixed_batches(labelled_sources(changed, [store]), changed, **(KEYS | (keys or {}))))
    return Batch(*(None if parts[0] is None else torch.cat(parts) for parts in zip(*batches, strict=True)))


def level(raw_XT: np.ndarray) -> float:
    """Over the components that live."""
    alive_X = np.ptp(raw_XT, axis=1) > 0
    return float(np.sqrt(raw_XT[alive_X].astype(np.float64).var(axis=1).mean()))


def first_arrival(labels_CT: torch.Tensor) -> int | None:
    """The first sample at which a pick has its peak; None where no arrival lies in the window."""
    peaks = [int(labels_T.argmax()) for labels_T in labels_CT[:2] if labels_T.max() > 0.9]
    return min(peaks, default=None)


def test_noise_is_added_at_the_ratio_that_was_asked_for(store, config):
    plain, noisy = drawn(store, config), drawn(store, config, noise_share=1.0, noise_snr_db=(6.0, 6.0))
    checked = 0
    for before_XT, after_XT, labels_CT in zip(plain.raw_BXT, noisy.raw_BXT, plain.labels_BCT, strict=True):
        added_XT = (after_XT - before_XT).numpy()
        arrival = first_arrival(labels_CT)
        if arrival is None or not 60 < arrival < 2500:  # at the first samples it may be one of before the window
            continue
        signal = level(before_XT.numpy()[:, arrival : arrival + 500])
        assert 20 * np.log10(signal / level(added_XT)) == pytest.approx(6, abs=0.01)
        assert not added_XT[np.ptp(before_XT.numpy(), axis=1) == 0].any(), "a dead component stays dead"
        checked += 1
    assert checked > 40
    assert torch.equal(plain.labels_BCT, noisy.labels_BCT)
    torch.testing.assert_close(noisy.around_BXT[..., 100:-100], noisy.raw_BXT, rtol=0, atol=0)


def test_ratios_spread_over_the_range_and_the_share_of_windows_is_kept(store, config):
    plain, noisy = drawn(store, config), drawn(store, config, noise_share=0.5, noise_snr_db=(0.0, 20.0))
    levels = [level(its) for its in (noisy.raw_BXT - plain.raw_BXT).numpy() if its.any()]
    arrivals = [first_arrival(labels_CT) for labels_CT in plain.labels_BCT]
    assert 0.3 < len(levels) / sum(arrival is not None for arrival in arrivals) < 0.7
    assert max(levels) / min(levels) > 5


def test_scaling_acts_on_the_record_and_not_on_the_noise(store, config):
    noise = {"noise_share": 1.0, "noise_snr_db": (6.0, 6.0)}
    plain, noisy = drawn(store, config), drawn(store, config, **noise)
    scaled, both = (drawn(store, config, max_amplitude_scale=3.0, **more) for more in ({}, noise))
    added_BXT, also_BXT = noisy.raw_BXT - plain.raw_BXT, both.raw_BXT - scaled.raw_BXT
    torch.testing.assert_close(added_BXT, also_BXT, rtol=1e-3, atol=0.1)
    torch.testing.assert_close(scaled.normalised_BXT, plain.normalised_BXT, rtol=0, atol=1e-4)
    assert (both.normalised_BXT - noisy.normalised_BXT).abs().max() > 0.1


def test_scaling_alone_is_said_to_change_nothing(config):
    alone = config.model_copy(update={"max_amplitude_scale": 2.0})
    assert without_effect(alone).startswith("data.max_amplitude_scale changes nothing if")
    assert check_data(alone)["settings_notice"] == without_effect(alone)
    for more in ({"noise_share": 0.1}, {"second_event_share": 0.1}, {"max_amplitude_scale": 1.0}):
        assert without_effect(alone.model_copy(update=more)) == ""


def test_a_second_event_has_the_ratio_that_was_asked_for_and_labels_of_both(store, config):
    settings = {"second_event_share": 1.0, "second_event_ratio": (0.5, 0.5)}
    plain, stacked = drawn(store, config), drawn(store, config, **settings)
    checked = more = 0
    for b, labels_CT in enumerate(plain.labels_BCT):
        before_XT, added_XT = plain.raw_BXT[b].numpy(), (stacked.raw_BXT[b] - plain.raw_BXT[b]).numpy()
        arrival = first_arrival(labels_CT)
        if arrival is None:
            assert not added_XT.any()
            continue
        assert (stacked.labels_BCT[b, :2].sum(dim=0) >= labels_CT[:2].sum(dim=0) - 1e-6).all()
        if arrival > 2500 or np.ptp(before_XT, axis=1).min() == 0:
            continue
        onset = _begin(added_XT)
        if onset is None or onset > 2500:
            continue
        signal = level(before_XT[:, arrival : arrival + 500])
        assert level(added_XT[:, onset : onset + 500]) / signal == pytest.approx(0.5, rel=0.1)
        assert stacked.labels_BCT[b, 0, onset - 2 : onset + 3].max() > 0.5
        more += stacked.labels_BCT[b, :2].sum() > labels_CT[:2].sum() + 10
        checked += 1
    assert checked > 10
    assert more > 10


def _begin(added_XT: np.ndarray) -> int | None:
    """Where an event begins: its level is a thousand times that of the noise before it."""
    loud_T = np.abs(added_XT).max(axis=0) > 0.05 * np.abs(added_XT).max()
    begin = int(loud_T.argmax())
    return begin if begin > 0 else None


def test_labels_of_two_events_are_those_of_seisbench(store, config):
    """The second event's picks are found in its waveform: the labels must be those of all four arrivals."""
    settings = {"second_event_share": 1.0}
    plain, stacked = drawn(store, config), drawn(store, config, **settings)
    checked = 0
    for b, labels_CT in enumerate(stacked.labels_BCT.numpy()):
        peaks = {name: _peaks(labels_CT[code]) for code, name in enumerate("PS")}
        apart = sorted(peaks["P"] + peaks["S"])
        if len(peaks["P"]) != 2 or len(peaks["S"]) != 2 or np.diff(apart).min() < 200:
            continue
        columns = {f"trace_{name}{n}_arrival_sample": name for name in "PS" for n in range(2)}
        metadata = {f"trace_{name}{n}_arrival_sample": peaks[name][n] for name in "PS" for n in range(2)}
        state = {"X": (np.zeros((3, 3001)), metadata)}
        ProbabilisticLabeller(label_columns=columns, model_labels="PSN", sigma=30, dim=0)(state)
        np.testing.assert_allclose(labels_CT, state["y"][0], atol=1e-5)
        assert len(_peaks(plain.labels_BCT[b, 0].numpy())) == 1
        checked += 1
    assert checked > 3


def _peaks(labels_T: np.ndarray) -> list[int]:
    higher_T = (labels_T[1:-1] > labels_T[:-2]) & (labels_T[1:-1] >= labels_T[2:]) & (labels_T[1:-1] > 0.3)
    return (np.flatnonzero(higher_T) + 1).tolist()


def test_what_one_of_two_does_not_know_is_unknown(store, config):
    labelled_NP = store.labelled_NP.copy()
    labelled_NP[::2, 1] = False
    half = type(store)(
        **{name: getattr(store, name) for name in store.__dataclass_fields__} | {"labelled_NP": labelled_NP}
    )
    plain, stacked = drawn(half, config), drawn(half, config, second_event_share=1.0)
    assert plain.labelled_BP is not None
    assert stacked.labelled_BP is not None
    known, still = (int(batch.labelled_BP[:, 1].sum()) for batch in (plain, stacked))
    assert 0.25 * known < still < 0.75 * known
    assert stacked.labelled_BP[:, 0].all()


ALL = {
    "noise_share": {"noise_share": 0.5},
    "second_event_share": {"second_event_share": 0.5},
    "gap_share": {"gap_share": 0.5},
    "rate_change": {"rate_change": 0.02},
    "flip_sign": {"flip_sign": True},
}


@pytest.mark.parametrize("name", ALL)
def test_each_is_a_function_of_seed_epoch_and_position(store, config, name):
    whole, again = (drawn(store, config, **ALL[name]) for _ in range(2))
    assert torch.equal(whole.raw_BXT, again.raw_BXT)
    assert not torch.equal(whole.raw_BXT, drawn(store, config, **ALL[name], keys={"epoch": 2}).raw_BXT)
    cut_otherwise = drawn(store, config, **ALL[name], keys={"num_steps": 8, "batch_size": 10})
    assert torch.equal(whole.raw_BXT, cut_otherwise.raw_BXT)
    assert torch.equal(whole.labels_BCT, cut_otherwise.labels_BCT)
    parts = [drawn(store, config, **ALL[name], keys={"num_steps": 1, "rank": r, "world_size": 2}) for r in range(2)]
    assert torch.equal(torch.cat([part.raw_BXT for part in parts]), whole.raw_BXT[:40])


@pytest.mark.parametrize("name", ["noise_share", "gap_share", "flip_sign"])
def test_one_leaves_the_windows_of_the_others_as_they_were(store, config, name):
    """Windows that it does not change are those without it, whatever else is on."""
    others = {key: value for other in ALL if other != name for key, value in ALL[other].items()}
    without, within = drawn(store, config, **others), drawn(store, config, **others, **ALL[name])
    is_same_B = (without.raw_BXT == within.raw_BXT).flatten(1).all(dim=1)
    assert 0.2 < is_same_B.float().mean() < 0.8


def test_the_teacher_hears_what_the_student_hears(store, config):
    everything = {key: value for settings in ALL.values() for key, value in settings.items()}
    batch = drawn(store, config, **everything)
    assert torch.equal(batch.around_BXT[..., 100:-100], batch.raw_BXT)
    assert torch.isfinite(batch.normalised_BXT).all()
