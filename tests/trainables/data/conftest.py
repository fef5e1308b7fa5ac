"""Small data sets in SeisBench's format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

Traces = list[tuple[np.ndarray, dict[str, Any]]]


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., Path]:
    """Writes (waveform (X, T), metadata) pairs as a SeisBench data set; returns its folder."""

    def write(folder: Path, traces: Traces, sampling_rate_hz: float | None = 100.0, order: str = "ENZ") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        with h5py.File(folder / "waveforms.hdf5", "w") as file:
            for number, (waveform_XT, metadata) in enumerate(traces):
                file[f"data/trace{number}"] = waveform_XT
                row = {"trace_name": f"trace{number}", "trace_component_order": order}
                if sampling_rate_hz:
                    row["trace_sampling_rate_hz"] = sampling_rate_hz
                rows.append(row | metadata)
            file["data_format/dimension_order"] = "CW"
        pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
        return folder

    return write


@pytest.fixture(scope="session")
def ramps() -> Traces:
    """Three traces a split that tell their samples: E counts 7000 of them, N and Z are 1e4 and 2e4 more."""
    traces: Traces = []
    for number, split in enumerate(["train", "dev", "test"] * 3):
        waveform_XT = np.arange(7000, dtype=np.float32) + np.array([[0], [1e4], [2e4]], dtype=np.float32)
        picks = {"trace_P_arrival_sample": 3200 + 10 * number, "trace_S_arrival_sample": 3600 + 10 * number}
        traces.append((waveform_XT, {"split": split, "source_id": f"event{number // 3}{split}", **picks}))
    return traces


@pytest.fixture(scope="session")
def damage() -> Callable[[Path, str], None]:
    """Makes one trace of a data set unreadable, as a bad sector would: its compressed block does not unpack."""

    def overwrite(folder: Path, trace: str) -> None:
        file_path = folder / "waveforms.hdf5"
        with h5py.File(file_path, "a") as file:
            waveform_XT = file[f"data/{trace}"][()]
            del file[f"data/{trace}"]
            block = file.create_dataset(f"data/{trace}", data=waveform_XT, compression="gzip", chunks=waveform_XT.shape)
            offset = block.id.get_chunk_info(0).byte_offset
        with file_path.open("r+b") as raw:
            raw.seek(offset)
            raw.write(b"\xff" * 64)

    return overwrite
