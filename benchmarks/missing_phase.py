"""Half of the training S picks taken away at random: dev F1 with them masked, with them as noise, and with all of them.

A XiaoNet (base 8, pooling 4) learns from the labels alone and from labels and teacher; dev keeps all its picks. A
training is scored by its best epoch, which is the one that a sweep keeps. Each line is written when it is known, and a
second call goes on with what is missing.

    python benchmarks/missing_phase.py --data FOLDER --teacher WEIGHTS [--seeds 3] [--epochs 60] [--output FILE]
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY)]

import numpy as np
import pandas as pd
from growing_table import GrowingTable

from trainables import metrics
from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun

STEPS_PER_EPOCH = 50
S_COLUMN = "trace_s_arrival_sample"
SHOWN = (metrics.DEV_F1, "dev/p_f1", "dev/s_f1")


def without_half_of_s(data: Path, folder: Path, seed: int) -> Path:
    """A copy of the data set in which half of the training traces with an S pick have lost it."""
    folder.mkdir(parents=True)
    shutil.copy(data / "waveforms.hdf5", folder)
    metadata = pd.read_csv(data / "metadata.csv")
    trained = np.flatnonzero((metadata["split"] == "train") & metadata[S_COLUMN].notna())
    lost = np.random.default_rng(seed).permutation(trained)[: len(trained) // 2]
    metadata.loc[lost, [name for name in metadata if name.startswith("trace_s_")]] = np.nan
    metadata.loc[lost, "trace_s_status"] = "unlabelled"
    metadata.to_csv(folder / "metadata.csv", index=False)
    return folder


def scores(data: Path, missing_phase: str, alpha: float, seed: int, options: argparse.Namespace, scratch: Path) -> dict:
    config = DistillationConfig.model_validate(
        {
            "data": {"dataset": str(data), "cache_dir": f"{scratch}/cache", "missing_phase": missing_phase},
            "teacher": {"weights": options.teacher},
            "student": {"base_channels": 8, "pooling": 4, "dropout": 0.0},
            "loss": {"alpha": alpha, "temperature": 3.0},
            "training": {
                "epochs": options.epochs,
                "steps_per_epoch": STEPS_PER_EPOCH,
                "patience": options.epochs,
                "batch_size": 32,
                "learning_rate": 3e-3,
            },
            "export": {"enabled": False},
            "seed": seed,
        }
    )
    run = LocalRun(Path(tempfile.mkdtemp(dir=scratch)))
    train(config, run)
    kept = max(run.reports, key=lambda report: report[metrics.DEV_F1])
    return {name: round(kept[name], 4) for name in SHOWN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    done = GrowingTable(options.output, ["alpha", "s_picks", "seed", "steps"])
    steps = options.epochs * STEPS_PER_EPOCH
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for alpha, seed in itertools.product((0.0, 0.5), range(options.seeds)):
            half = scratch / f"half-{seed}"
            half = half if half.exists() else without_half_of_s(options.data, half, seed)
            ways = {"all": (options.data, "mask"), "half, masked": (half, "mask"), "half, noise": (half, "noise")}
            for way, (data, missing_phase) in ways.items():
                if not done.has(alpha, way, seed, steps):
                    done.add((alpha, way, seed, steps), scores(data, missing_phase, alpha, seed, options, scratch))
    these = done.frame.query("steps == @steps")
    table = these.pivot(index=["alpha", "seed"], columns="s_picks", values=metrics.DEV_F1)
    for alpha, of_seed in table.groupby("alpha"):
        for way in ("half, masked", "half, noise"):
            lost = of_seed["all"] - of_seed[way]
            each = " ".join(f"{value:+.3f}" for value in lost)
            print(f"alpha {alpha:g}, {way}: mean dev F1 {lost.mean():+.3f} lower than with all S picks (seeds: {each})")


if __name__ == "__main__":
    main()
