"""How much faster than SeisBench's generator are our batches? Processor time, one thread each, in alternation.

    python benchmarks/data_plane.py [DATASET] [--batch-size 32] [--rounds 15]

DATASET is a SeisBench name or folder; a synthetic data set by default. SeisBench's waveforms are preloaded, and
in the second row its metadata are cached too; collating its samples into a batch is not counted.
"""

from __future__ import annotations

import os

for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # before numpy and torch are imported

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from seisbench_pipeline import prescribed_generator

from trainables.data.config import DataConfig
from trainables.data.mixing import training_batches
from trainables.data.synthetic import write_local_earthquakes
from trainables.data.windows import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = options.dataset
        if dataset is None:
            dataset = str(Path(folder, "synthetic"))
            write_local_earthquakes(Path(dataset), num_events=60)
        config = DataConfig(dataset=dataset, cache_dir=Path(folder, "stores"))
        compare(
            {
                "SeisBench, waveforms preloaded": seisbench_batches(config, metadata_cache=False),
                "SeisBench, metadata cached too": seisbench_batches(config, metadata_cache=True),
                "seisweep": seisweep_batches(config, options.batch_size),
            },
            options.batch_size,
            options.rounds,
        )


def compare(sources: dict[str, Callable[[int], None]], batch_size: int, rounds: int) -> None:
    """Run all sources in turn, round after round; print processor time a sample and the ratios' medians."""
    times_ms: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(rounds + 1):
        for name, make in sources.items():
            num_batches = 40 if name == "seisweep" else 2
            start_s = time.process_time()
            for _ in range(num_batches):
                make(batch_size)
            times_ms[name].append(1e3 * (time.process_time() - start_s) / (num_batches * batch_size))
    times_ms = {name: values[1:] for name, values in times_ms.items()}  # the first round warms up
    print(f"{'processor time a sample, one thread':38} {'median':>9} {'least':>9} {'times slower':>14}")
    for name, values in times_ms.items():
        ratio = statistics.median(a / b for a, b in zip(values, times_ms["seisweep"], strict=True))
        print(f"{name:38} {statistics.median(values):6.3f} ms {min(values):6.3f} ms {ratio:14.1f}")


def seisweep_batches(config: DataConfig, batch_size: int) -> Callable[[int], None]:
    batches = training_batches(
        open_store(config, "train"), config, seed=0, epoch=0, num_steps=10**9, batch_size=batch_size, device="cpu"
    )
    return lambda batch_size: next(batches) and None


def seisbench_batches(config: DataConfig, metadata_cache: bool) -> Callable[[int], None]:
    """SeisBench's generator with the prescribed augmentations, over traces in random order."""
    generator = prescribed_generator(config.dataset, metadata_cache)
    rng = np.random.default_rng(0)

    def make(batch_size: int) -> None:
        for n in rng.integers(len(generator), size=batch_size):
            generator[int(n)]

    return make


if __name__ == "__main__":
    main()
