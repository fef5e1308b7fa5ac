"""Building a window store: by one process and by several, side by side, and whether both are the same.

    python benchmarks/window_store.py [--traces 16000] [--processes 2] [--folder FOLDER]

The data set is synthetic noise of 60 s at 50 Hz (so that every trace is resampled) with two picks a trace.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import h5py
import numpy as np
import pandas as pd

from trainables.data import store_parts
from trainables.data.config import DataConfig
from trainables.data.windows import open_store

RATE_HZ, SECONDS = 50.0, 60
BLOCK = 1000


def write_noise(folder: Path, count: int) -> Path:
    """A data set of so many traces in SeisBench's format."""
    folder.mkdir()
    rng, samples = np.random.default_rng(0), int(RATE_HZ * SECONDS)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        for block in range(-(-count // BLOCK)):
            file[f"data/bucket{block}"] = rng.standard_normal((BLOCK, 3, samples), dtype=np.float32)
        file["data_format/dimension_order"] = "CW"
    number = np.arange(count)
    pd.DataFrame(
        {
            "trace_name": [f"bucket{n // BLOCK}${n % BLOCK},:3,:{samples}" for n in number],
            "trace_component_order": "ENZ",
            "trace_sampling_rate_hz": RATE_HZ,
            "split": "train",
            "trace_P_arrival_sample": 1000 + number % 500,
            "trace_S_arrival_sample": 1300 + number % 700,
        }
    ).to_csv(folder / "metadata.csv", index=False)
    return folder


def cpu_s() -> float:
    """Of this process and of those that it has waited for (s)."""
    return sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=16_000)
    parser.add_argument("--processes", type=int, default=store_parts._cores())
    parser.add_argument("--folder", type=Path, help="where the data set and the stores go for a while")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        data = write_noise(Path(scratch, "noise"), asked.traces)
        store_parts.TRACES_EACH = 1
        built = {}
        for processes in (1, asked.processes):
            store_parts._cores = lambda processes=processes: processes
            config = DataConfig(dataset=str(data), cache_dir=Path(scratch, f"by-{processes}"))
            began_s, began_cpu_s = time.perf_counter(), cpu_s()
            store = open_store(config, "train")
            took_s, took_cpu_s = time.perf_counter() - began_s, cpu_s() - began_cpu_s
            built[processes] = config.cache_dir / store.fingerprint
            print(
                f"by {processes}: {took_s:.1f} s, {len(store) / took_s:.0f} traces/s; processor time {took_cpu_s:.1f} s"
            )
        names = [file.name for file in built[1].iterdir()]
        same = filecmp.cmpfiles(*built.values(), names, shallow=False)[0]
        print(f"the same to the last bit: {'yes' if sorted(same) == sorted(names) else 'NO'}")


if __name__ == "__main__":
    main()
