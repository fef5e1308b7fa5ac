"""A small data set for the tasks: records of several lengths and rates, with one, several or no arrivals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import seisbench.data as sbd

SPLITS = ("train", "dev", "test")


def write_records(folder: Path, num_traces: int = 90, seed: int = 0, with_noise: bool = True) -> None:
    """Bursts at the arrivals of P and S in noise; every fourth trace has no arrival where `with_noise`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    with sbd.WaveformDataWriter(folder / "metadata.csv", folder / "waveforms.hdf5") as writer:
        writer.data_format = {"dimension_order": "CW", "component_order": "ZNE"}
        for number in range(num_traces):
            rate_hz = 50 if number % 10 == 9 else 100
            is_noise = with_noise and number % 4 == 0
            length = int(rng.integers(20, 90)) * rate_hz
            p = int(rng.integers(5 * rate_hz, length - 12 * rate_hz))
            s = p + int(rng.uniform(0.4, 8) * rate_hz)
            waveform_XT = rng.normal(size=(3, length)).astype(np.float32)
            for onset, size in ((p, 4), (s, 9)) if not is_noise else ():
                burst = np.exp(-np.arange(3 * rate_hz) / rate_hz) * size
                waveform_XT[:, onset : onset + len(burst)] += burst * rng.normal(size=(3, len(burst)))
            metadata = {
                "trace_name": f"trace_{number}",
                "trace_sampling_rate_hz": rate_hz,
                "trace_npts": length,
                "trace_P_arrival_sample": np.nan if is_noise else p,
                "trace_Sg_arrival_sample": np.nan if is_noise else s,
                "split": SPLITS[number % 3],
                "source_id": None if is_noise else f"event_{number // 2}",
            }
            writer.add_trace(metadata, waveform_XT)
