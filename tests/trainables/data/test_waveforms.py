from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import seisbench.data as sbd
import torch

from trainables.data.sequence import open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import split_sequence
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.data.waveform_sources import WaveformDataConfig
from trainables.data.waveforms import Waveforms

CPU = torch.device("cpu")
WINDOW = 1024


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, num_samples)).astype(np.float32)


def waveforms(folder: Path | list[str], split: str = "train", least: int = 256, **settings) -> Waveforms:
    dataset = folder if isinstance(folder, list) else str(folder)
    cache_dir = Path(dataset if isinstance(dataset, str) else dataset[0]) / "cache"
    config = WaveformDataConfig(**{"dataset": dataset, "window_samples": WINDOW, "cache_dir": cache_dir} | settings)
    return Waveforms.open(config, least, CPU)[split == "dev"]


def epochs_of(data: Waveforms, epochs: int, batch_size: int = 16, **ranks) -> list:
    steps = -(-len(data) // batch_size)
    return [
        batch
        for epoch in range(1, epochs + 1)
        for batch in data.training_batches(seed=1, epoch=epoch, num_batches=steps, batch_size=batch_size, **ranks)
    ]


@pytest.fixture
def unlabelled(write_dataset, tmp_path) -> Path:
    """Eight traces of a minute, without picks and without splits, of four events."""
    traces = [(noise(6000, n), {"source_id": f"event{n // 2}"}) for n in range(8)]
    return write_dataset(tmp_path / "unlabelled", traces)


def begins(batch, data: Waveforms) -> set[tuple[int, int]]:
    """Which window of which trace each is: where the east components correlate wholly."""
    (store,) = data.stores
    found = set()
    for window_T in batch.waveform_BXT[:, 0].numpy():
        for trace in range(len(store)):
            correlation_T = np.correlate(store.counts(trace, 0, int(store.length_N[trace]))[0], window_T)
            if correlation_T.max() > WINDOW / 2:
                found.add((trace, int(correlation_T.argmax())))
    return found


def test_windows_lie_anywhere_in_traces_without_picks_and_splits(unlabelled):
    data = waveforms(unlabelled)
    assert len(data) == 6 * 5  # of three events, five windows a trace
    (first, *_) = epochs_of(data, 1, batch_size=8)
    assert len(begins(first, data)) == 8
    assert len({trace for trace, _ in begins(first, data)}) > 2
    starts = data.places.first_P + data.places.starts_P
    assert starts.max() == 6000 - WINDOW + 1
    assert len(waveforms(unlabelled, "dev")) == 2 * 5


def test_an_epoch_reaches_every_part_of_every_trace(unlabelled):
    data = waveforms(unlabelled)
    by_trace = data.places.starts_P.reshape(-1, 5).sum(axis=1)
    assert (by_trace == 6000 - WINDOW + 1).all()
    assert (np.diff(data.places.first_P.reshape(-1, 5)) == data.places.starts_P.reshape(-1, 5)[:, :-1]).all()
    keys = np.concatenate([batch.key_B for batch in data.fixed_batches(4)])
    assert keys.tolist() == list(range(len(data)))


def test_joint_batches_do_not_depend_on_the_workers(unlabelled):
    data = waveforms(unlabelled)
    whole = epochs_of(data, 1, batch_size=8)
    parts = [epochs_of(data, 1, batch_size=8, rank=rank, world_size=2) for rank in range(2)]
    for joint, *two in zip(whole, *parts, strict=True):
        assert torch.equal(joint.waveform_BXT, torch.cat([part.waveform_BXT for part in two]))
        assert joint.key_B.tolist() == np.concatenate([part.key_B for part in two]).tolist()


def test_no_window_touches_a_dead_stretch(write_dataset, tmp_path):
    waveform_XT = noise(12_000)
    waveform_XT[:, 4000:8000] = 7
    waveform_XT[2, 4000:6000] = np.nan
    folder = write_dataset(tmp_path / "dead", [(waveform_XT, {}), (noise(12_000, 1), {})])
    data = waveforms(folder)
    ends = data.places.first_P + data.places.starts_P - 1 + WINDOW
    assert ((ends <= 4000) | (data.places.first_P >= 8000)).all()
    assert len(data) == 3 + 3
    assert len(waveforms(folder, "dev")) == 11


def test_one_component_that_is_alive_is_enough(write_dataset, tmp_path):
    waveform_XT = np.zeros((3, 6000), dtype=np.float32)
    waveform_XT[2] = noise(6000)[2]
    data = waveforms(write_dataset(tmp_path / "vertical", [(waveform_XT, {}), (waveform_XT, {})]))
    (batch,) = data.fixed_batches(8)
    assert (batch.waveform_BXT[:, :2] == 0).all()
    torch.testing.assert_close(batch.waveform_BXT[:, 2].std(dim=-1, correction=0), torch.ones(5))


def test_short_traces_are_counted(write_dataset, tmp_path, caplog):
    traces = [(noise(length, length), {"split": "train"}) for length in (100, 200, 500)]
    data = waveforms(write_dataset(tmp_path / "short", [*traces, (noise(3000), {"split": "dev"})]), least=256)
    assert "split train: 2 of 3 traces left out: nowhere alive for 256 samples" in caplog.text
    assert (
        "split train: 1 of 3 traces have stretches shorter than a window (data.window_samples=1024): padded"
        in caplog.text
    )
    (batch,) = data.fixed_batches(4)
    assert batch.num_samples_B.tolist() == [500]
    assert (batch.waveform_BXT[:, :, 500:] == 0).all()


def test_where_every_trace_is_too_short_it_is_refused(write_dataset, tmp_path):
    traces = [(noise(200), {"split": split}) for split in ("train", "dev")]
    with pytest.raises(ValueError, match="no trace of split train has 256 samples at 100 Hz"):
        waveforms(write_dataset(tmp_path / "short", traces))


def test_what_is_dead_throughout_is_refused(write_dataset, tmp_path):
    traces = [(np.zeros((3, 4000), dtype=np.float32), {}) for _ in range(3)]
    with pytest.raises(ValueError, match="no trace of split train can be used: 2 of 2 traces left out: no signal"):
        waveforms(write_dataset(tmp_path / "dead", traces))


def test_windows_around_picks_are_those_of_earlier_versions(write_dataset, ramps, tmp_path):
    """One window of each trace, out of the 6000 samples around its picks, however long it is."""
    folder = write_dataset(tmp_path / "labelled", ramps)
    data = waveforms(folder, windows="picks")
    assert len(data) == 3
    (store,) = data.stores
    assert store.length_N.max() < 7000
    assert (data.places.starts_P == store.length_N - WINDOW + 1).all()
    no_picks = [(waveform_XT, {"split": row["split"]}) for waveform_XT, row in ramps]
    without = write_dataset(tmp_path / "unlabelled", no_picks)
    with pytest.raises(ValueError, match="no P pick in split train"):
        waveforms(without, windows="picks")


@pytest.fixture(scope="module")
def sequence(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


def test_of_a_sequence_dev_and_test_are_never_read(sequence, monkeypatch, tmp_path):
    """Every row that SeisBench is asked for is written down."""
    rows: list[int] = []
    get_sample = sbd.WaveformDataset.get_sample

    def recorded(dataset: sbd.WaveformDataset, row: int, *more, **named):
        rows.append(int(row))
        return get_sample(dataset, row, *more, **named)

    monkeypatch.setattr(sbd.WaveformDataset, "get_sample", recorded)
    data = [waveforms(sequence, split, cache_dir=tmp_path) for split in ("train", "dev")]
    for half in data:
        assert sum(len(batch.key_B) for batch in half.fixed_batches(64)) == len(half)
    assert len(rows) == len(set(rows)) > 50
    opened = open_sequence(str(sequence))
    for number in (2, 4, 8, 9):
        splits = split_sequence(opened, SequenceDataConfig(dataset=str(sequence), num_classes=number))
        assert not set(rows) & {*splits["dev"].trace_R.tolist(), *splits["test"].trace_R.tolist()}


def test_a_store_of_whole_traces_does_not_look_at_picks(write_dataset, ramps, tmp_path):
    traces = [(waveform_XT, row | {"trace_S_arrival_sample": "no number"}) for waveform_XT, row in ramps]
    folder = write_dataset(tmp_path / "labelled", traces)
    data = waveforms(folder)
    (store,) = data.stores
    assert store.length_N.tolist() == [7000] * 3
    assert not len(store.pick_K)
    assert pd.read_csv(folder / "metadata.csv")["split"].eq("train").sum() == len(store)


def test_shares_hold_in_every_batch(write_dataset, tmp_path):
    folders = [
        str(write_dataset(tmp_path / name, [(noise(6000, n), {}) for n in range(count)]))
        for name, count in (("few", 2), ("many", 12))
    ]
    data = waveforms(folders, shares=[3, 1])
    assert data.count_S.tolist() == [5, 50]
    place_Q = data._places_of_epoch(seed=0, epoch=1, num_windows=160)
    from_few_B = (data.source_P[place_Q].reshape(-1, 16) == 0).sum(axis=1)
    assert set(from_few_B) <= {11, 12, 13}
    assert from_few_B.mean() == pytest.approx(12, abs=0.2)
    first_pass = place_Q[data.source_P[place_Q] == 0][:5]
    assert sorted(first_pass) == [0, 1, 2, 3, 4]
    everywhere = waveforms(folders)._places_of_epoch(seed=0, epoch=1, num_windows=55)
    assert sorted(everywhere) == list(range(55))


@pytest.mark.parametrize(
    ("shares", "line"),
    [([1, 1], "2 for 1 sources"), ([-1.0], "none may be below 0"), ([0.0], "none may be below 0, and one")],
)
def test_shares_that_make_no_sense_are_refused(shares, line):
    with pytest.raises(ValueError, match=line):
        WaveformDataConfig(dataset="ETHZ", shares=shares)
