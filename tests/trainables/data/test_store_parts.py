"""Several processes build the same window store as one, and end with whoever wanted it."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.data import store_parts
from trainables.data.config import DataConfig
from trainables.data.windows import open_store


@pytest.fixture
def config(tmp_path, write_dataset, ramps) -> DataConfig:
    folder = write_dataset(tmp_path / "ramps", ramps * 4, sampling_rate_hz=50.0)
    return DataConfig(dataset=str(folder), cache_dir=tmp_path / "one", store_dtype="float16", max_time_shift_s=1.0)


@pytest.fixture
def three_processes(monkeypatch) -> None:
    monkeypatch.setattr(store_parts, "TRACES_EACH", 2)
    monkeypatch.setattr(store_parts, "RUN_TRACES", 2)
    monkeypatch.setattr(store_parts, "cores", lambda: 3)


def test_the_store_is_the_same_to_the_last_bit(config, tmp_path, three_processes, monkeypatch):
    together = open_store(config.model_copy(update={"cache_dir": tmp_path / "three"}), "train")
    monkeypatch.setattr(store_parts, "cores", lambda: 1)
    alone = open_store(config, "train")
    assert len(alone) == 12
    for name, value in vars(alone).items():
        np.testing.assert_array_equal(value, getattr(together, name), err_msg=name)
    files = {file.name: file.read_bytes() for file in (tmp_path / "one" / alone.fingerprint).iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "three" / alone.fingerprint).iterdir()}


def test_a_trace_that_cannot_be_read_is_named_and_nothing_stays(config, three_processes, damage, tmp_path):
    damage(tmp_path / "ramps", "trace6")
    with pytest.raises(ValueError, match=r"data.dataset=.*ramps: trace trace6 cannot be read"):
        open_store(config, "train")
    assert [path.suffix for path in config.cache_dir.iterdir()] == [".lock"]
