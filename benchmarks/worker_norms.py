"""What two workers change in a student with batch normalisation: each normalises by its own half of the joint batch.

The same distillation by one worker and by two (gloo, without an engine), with batch and with group normalisation, for
each seed: the losses and dev F1 of the last epoch, and beside them how far seeds are apart.

    python benchmarks/worker_norms.py --data FOLDER --teacher WEIGHTS [--epochs 6] [--seeds 3] [--batch-size 32]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / place) for place in ("tests", ".")]

import pandas as pd
from gloo_workers import train_together

from trainables import metrics
from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun

SHOWN = (metrics.TRAIN_LOSS, metrics.DEV_LOSS, metrics.DEV_F1)


def last_epoch(config: DistillationConfig, workers: int, folder: Path) -> dict[str, float]:
    if workers > 1:
        reports = train_together(train, config, folder, workers)
    else:
        train(config, run := LocalRun(folder))
        reports = run.reports
    return {name: next(report[name] for report in reversed(reports) if name in report) for name in SHOWN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        training = {"epochs": given.epochs, "patience": given.epochs, "batch_size": given.batch_size}
        for norm, seed, workers in itertools.product(("batch", "group"), range(given.seeds), (1, 2)):
            config = DistillationConfig.model_validate(
                {
                    "data": {"dataset": given.data, "cache_dir": f"{scratch}/cache"},
                    "teacher": {"weights": given.teacher},
                    "student": {"base_channels": 8, "pooling": 4, "norm": norm, "dropout": 0.0},
                    "training": {**training, "precision": "fp32"},
                    "export": {"enabled": False},
                    "seed": seed,
                }
            )
            scores = last_epoch(config, workers, Path(scratch) / f"{norm}-{seed}-{workers}")
            rows.append({"norm": norm, "seed": seed, "workers": workers, **scores})
            print(rows[-1], file=sys.stderr, flush=True)
    scores = pd.DataFrame(rows).set_index(["norm", "seed", "workers"]).unstack("workers")
    for norm, of_norm in scores.groupby("norm"):
        for name in SHOWN:
            one, two = of_norm[name, 1], of_norm[name, 2]
            print(
                f"{norm} {name}: one worker {one.mean():.4f}, two {two.mean():.4f}; apart on average "
                f"{(two - one).abs().mean():.2g}, at most {(two - one).abs().max():.2g}; seeds of one worker differ by "
                f"{one.std():.2g} (standard deviation)"
            )


if __name__ == "__main__":
    main()
