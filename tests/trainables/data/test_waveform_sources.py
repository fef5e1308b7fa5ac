from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
import torch

from trainables.data.streams import StreamStore
from trainables.data.waveform_sources import WaveformDataConfig, check_sources
from trainables.data.waveforms import Waveforms

START = obspy.UTCDateTime(2026, 1, 1)
MINUTE = 6000
"""Samples."""


def write_day(folder: Path, minutes: int, station: str = "AAA", dead: slice | None = None) -> None:
    """Noise of one station; `dead`: minutes in which it is constant."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(station))
    for component in "ENZ":
        counts_T = rng.normal(scale=1000, size=minutes * MINUTE).astype(np.int32)
        if dead:
            counts_T[dead.start * MINUTE : dead.stop * MINUTE] = 12
        header = {"network": "XX", "station": station, "channel": f"HH{component}", "sampling_rate": 100.0}
        trace = obspy.Trace(counts_T, {**header, "starttime": START})
        trace.write(str(folder / f"{station}.{component}.mseed"), format="MSEED")


@pytest.fixture(scope="module")
def streams(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    write_day(folder, minutes=60, dead=slice(5, 9))
    return folder


def config_of(folder: Path, cache: Path, **settings) -> WaveformDataConfig:
    return WaveformDataConfig(streams=str(folder), cache_dir=cache, **settings)


def test_windows_of_streams_lie_in_training_and_dev_hours_where_something_lives(streams, tmp_path):
    train, dev = Waveforms.open(config_of(streams, tmp_path), 640, torch.device("cpu"))
    minutes = {}
    for split, data in (("train", train), ("dev", dev)):
        (store,) = data.stores
        assert isinstance(store, StreamStore)
        assert not len(store.pick_K)
        begin_P = (store.start_ns_N[data.places.trace_P] - START.ns) // 10_000_000 + data.places.first_P
        end_P = begin_P + data.places.starts_P - 1 + 4096
        minutes[split] = begin_P.min() / MINUTE, end_P.max() / MINUTE
        if split == "train":
            assert not ((begin_P < 9 * MINUTE) & (end_P > 5 * MINUTE)).any()  # dead
    assert minutes == {"train": (0, 40), "dev": (41, 50)}  # the last ten minutes are held out
    assert len(train) == 5 * MINUTE // 4096 + 31 * MINUTE // 4096
    assert len(dev) == 9 * MINUTE // 4096
    (batch, *_) = train.training_batches(seed=0, epoch=1, num_batches=1, batch_size=4)
    torch.testing.assert_close(batch.waveform_BXT.std(dim=-1, correction=0), torch.ones(4, 3))


def test_streams_and_records_come_in_one_epoch_by_their_shares(streams, write_dataset, ramps, tmp_path):
    records = write_dataset(tmp_path / "records", ramps)
    config = config_of(streams, tmp_path, dataset=str(records), shares=[1, 3])
    data, _ = Waveforms.open(config, 640, torch.device("cpu"))
    assert list(data.names) == [f"data.dataset={records}", f"data.streams={streams}"]
    place_Q = data._places_of_epoch(seed=0, epoch=1, num_windows=64)
    assert (data.source_P[place_Q] == 1).sum() == pytest.approx(48, abs=1)
    facts = check_sources(config, 640)
    assert facts["dataset"] == f"{records}, {streams}"
    assert facts["data_fingerprint"].count("+") == 1
    assert "1 stations, train 0.6 h, dev 0.1 h, test 0.1 h" in facts["data_notice"]


def test_streams_that_teach_nothing_are_refused_in_one_line(tmp_path):
    write_day(tmp_path / "short", minutes=12)
    write_day(tmp_path / "dead", minutes=40, dead=slice(0, 40))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("no waveforms")
    (tmp_path / "empty").mkdir()
    for name, part in (
        ("short", "12 min of waveforms that are not dead are too short for a held-out part"),
        ("dead", "no waveforms that"),
        ("text", "no waveforms"),
        ("empty", "no files in this folder"),
        ("nowhere", "no such file or folder"),
    ):
        with pytest.raises(ValueError, match=f"data.streams={tmp_path / name}: .*{part}") as refused:
            check_sources(config_of(tmp_path / name, tmp_path), 640)
        assert "\n" not in str(refused.value)


def test_without_any_waveforms_it_is_said_what_would_be_right():
    with pytest.raises(ValueError, match=r"no waveforms: give data.dataset=NAME_OR_FOLDER, data.streams=FOLDER, or"):
        WaveformDataConfig()
