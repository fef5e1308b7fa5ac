"""A process that takes more memory than it may hears of it where it trains."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from seisweep.workers.faults import MemoryLimitError
from seisweep.workers.memory_limit import memory_limit, own_memory_bytes


def now_gb() -> float:
    used = own_memory_bytes()
    assert used is not None, "Linux tells it"
    return used / 2**30


def hoard(gb: float) -> None:
    held = []
    for _ in range(int(gb * 64)):
        held.append(bytearray(2**24))
        time.sleep(0.01)
    time.sleep(2)


def test_too_much_memory_raises_where_it_is_taken():
    limit_gb = round(now_gb() + 0.3, 2)
    with (
        pytest.raises(MemoryLimitError, match=rf"over its memory limit: .* of {limit_gb:g} GB"),
        memory_limit(limit_gb),
    ):
        hoard(3.0)
    assert now_gb() < limit_gb, "what was taken is given back"


def test_less_than_the_limit_passes():
    with memory_limit(now_gb() + 1.0):
        hoard(0.1)


def test_what_is_over_raises_no_more(monkeypatch):
    """What was on its way when the limit ended is taken back: nothing arrives in the lines after it."""
    monkeypatch.setattr(
        "seisweep.workers.memory_limit.give_back", lambda: None
    )  # which takes long in a process of many tests
    for _ in range(10):
        with contextlib.suppress(MemoryLimitError), memory_limit(now_gb() + 0.01):
            held = bytearray(2**26)
            time.sleep(0.1)
        held = None
        assert held is None
        time.sleep(0.15)


def test_no_limit_starts_no_watcher():
    with memory_limit(None):
        assert not any(thread.name == "memory-limit" for thread in threading.enumerate())


def test_a_data_set_twice_as_large_as_the_limit_builds_and_trains(tmp_path):
    """What is built goes to the disk trace by trace, and what is mapped from there is not the process's own memory."""
    import torch

    from trainables.data.config import DataConfig
    from trainables.data.mixing import training_batches
    from trainables.data.windows import open_store

    config = DataConfig(dataset=str(long_traces(tmp_path / "long", 96)), cache_dir=tmp_path / "cache")
    room_bytes = 80 * 2**20
    with memory_limit(now_gb() + room_bytes / 2**30):
        store = open_store(config, "train")
        assert store.samples.nbytes > 2 * room_bytes
        for batch in training_batches(
            store, config, seed=0, epoch=1, num_steps=24, batch_size=8, device=torch.device("cpu")
        ):
            assert batch.raw_BXT.isfinite().all()
        assert sum(float(block.sum()) for block in np.array_split(store.samples, 200)) > 0, "every page was read"
        time.sleep(0.3)


def long_traces(folder: Path, count: int) -> Path:
    """A data set in SeisBench's format whose picks lie far apart, so that all of each trace is needed: 1.8 MB."""
    folder.mkdir()
    rows = []
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        for number in range(count):
            waveform_XT = np.full((3, 150_000), 1 + number, dtype=np.float32)
            waveform_XT[:, ::2] += 1
            file[f"data/trace{number}"] = waveform_XT
            rows.append({"trace_name": f"trace{number}", "trace_component_order": "ENZ", "split": "train"})
        file["data_format/dimension_order"] = "CW"
    picks = {"trace_P_arrival_sample": 3000, "trace_S_arrival_sample": 147_000, "trace_sampling_rate_hz": 100.0}
    pd.DataFrame(rows).assign(**picks).to_csv(folder / "metadata.csv", index=False)
    return folder
