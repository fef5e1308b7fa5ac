"""The stored form: written whole or not at all, mapped into memory, and anything else is refused in one line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from trainables.data.sequence import open_sequence, write_sequence


def write(folder: Path, num_traces: int = 6) -> np.ndarray:
    waveforms_NXT = np.random.default_rng(0).normal(size=(num_traces, 3, 40)).astype(np.float32)
    metadata = pd.DataFrame(
        {
            "source_id": np.arange(num_traces),
            "sequence_part": "pre",
            "trace_start_time": "2016-09-01T00:00:00.000000Z",
            "trace_sampling_rate_hz": 100.0,
        }
    )
    write_sequence(folder, metadata, [waveforms_NXT[:4], waveforms_NXT[4:]], 40)
    return waveforms_NXT


def test_waveforms_are_mapped_read_only(tmp_path):
    waveforms_NXT = write(tmp_path / "new")
    sequence = open_sequence(str(tmp_path / "new"))
    assert isinstance(sequence.waveforms_NXT, np.memmap)
    np.testing.assert_array_equal(sequence.waveforms_NXT, waveforms_NXT)
    with pytest.raises(ValueError, match="read-only"):
        sequence.waveforms_NXT[0] = 0


def test_a_failed_write_leaves_nothing(tmp_path):
    def chunks():
        yield np.zeros((2, 3, 40))
        raise KeyboardInterrupt

    metadata = pd.DataFrame({"trace_sampling_rate_hz": [100.0] * 4})
    with pytest.raises(KeyboardInterrupt):
        write_sequence(tmp_path / "new", metadata, chunks(), 40)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not empty"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_would_not_fit_on_the_disk_is_not_begun(tmp_path):
    metadata = pd.DataFrame({"trace_sampling_rate_hz": [100.0] * 4})
    with pytest.raises(ValueError, match="GB are needed"):
        write_sequence(tmp_path / "new", metadata, [], 10**15)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_sequence(tmp_path, earthquakes):
    with pytest.raises(ValueError, match="no earthquake sequence"):
        open_sequence(str(tmp_path))
    with pytest.raises(ValueError, match=r"metadata lack sequence_part.*import-nrca"):
        open_sequence(str(earthquakes))


def test_waveforms_that_do_not_match(tmp_path):
    write(tmp_path / "new")
    metadata = pd.read_csv(tmp_path / "new/metadata.csv")
    metadata[:5].to_csv(tmp_path / "new/metadata.csv", index=False)
    with pytest.raises(ValueError, match="not one float32 block of 5 x 3"):
        open_sequence(str(tmp_path / "new"))
    metadata.assign(sequence_part="during").to_csv(tmp_path / "new/metadata.csv", index=False)
    with pytest.raises(ValueError, match="one of pre, visso, post"):
        open_sequence(str(tmp_path / "new"))
    metadata.to_csv(tmp_path / "new/metadata.csv", index=False)
    with h5py.File(tmp_path / "new/waveforms.hdf5", "w") as file:
        file.create_dataset("data/bucket0", (6, 3, 40), dtype=np.float32, chunks=True, compression="gzip")
    with pytest.raises(ValueError, match="not one float32 block"):
        open_sequence(str(tmp_path / "new"))
    (tmp_path / "new/waveforms.hdf5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        open_sequence(str(tmp_path / "new"))
