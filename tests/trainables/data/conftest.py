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

    def write(
        folder: Path, traces: Traces, sampling_rate_hz: float = 100.0, component_order: str = "ENZ"
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        with h5py.File(folder / "waveforms.hdf5", "w") as file:
            for number, (waveform_XT, metadata) in enumerate(traces):
                file[f"data/trace{number}"] = waveform_XT
                row = {"trace_name": f"trace{number}", "trace_component_order": component_order}
                if sampling_rate_hz:
                    row["trace_sampling_rate_hz"] = sampling_rate_hz
                rows.append(row | metadata)
            file["data_format/dimension_order"] = "CW"
        pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
        return folder

    return write
