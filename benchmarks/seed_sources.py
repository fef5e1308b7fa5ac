"""Which chance makes results differ: fresh weights, the order of windows, their place in the traces, or dropout.

Each is varied alone, the others follow seed 0; then all together (Bouthillier et al. 2021, arXiv:2103.03098). A
XiaoNet (base 8, pooling 4, dropout 0.1) learns from labels, and from a teacher where one is given; it is scored by its
best epoch, which is the one that a sweep keeps. Each row is written when it is known, and a second call goes on with
what is missing. The standard deviation of few seeds is itself uncertain: its 95 % interval is by the chi-squared
distribution.

    python benchmarks/seed_sources.py [--data FOLDER] [--teacher WEIGHTS] [--steps 1200] [--seeds 5] [--output FILE]

Without a data set it makes a synthetic one, which is easy: for a look at the script.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY)]

import pandas as pd
from growing_table import GrowingTable
from scipy.special import chdtri

from trainables import distillation, metrics, picking
from trainables.data.synthetic import write_local_earthquakes
from trainables.models.architectures import XIAONET
from trainables.run import LocalRun

TOGETHER = "all together"
SOURCES = ("weights", "order", "windows", "dropout", TOGETHER)
STEPS_PER_EPOCH = 150
SHOWN = (metrics.DEV_F1, "dev/p_f1", "dev/s_f1")
KEYS = ["data", "teacher", "steps", "source", "seed"]


def scores(data: Path, source: str, seed: int, options: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Of one training, at its best epoch."""
    steps = min(STEPS_PER_EPOCH, options.steps)
    epochs = math.ceil(options.steps / steps)
    settings = {
        "data": {"dataset": str(data), "cache_dir": f"{scratch}/cache"},
        "student": {"base_channels": 8, "pooling": 4, "dropout": 0.1},
        "training": {
            "epochs": epochs,
            "steps_per_epoch": steps,
            "patience": epochs,
            "batch_size": 16,
            "learning_rate": 3e-3,
        },
        "export": {"enabled": False},
        **({"seed": seed} if source == TOGETHER else {"seeds": {source: seed}}),
    }
    run = LocalRun(Path(tempfile.mkdtemp(dir=scratch)))
    if options.teacher:
        teacher = {"teacher": {"weights": options.teacher}}
        distillation.train(distillation.DistillationConfig.model_validate(settings | teacher), run)
    else:
        labels_alone = {"model": {"architecture": XIAONET}}
        picking.train(picking.PickingConfig.model_validate(settings | labels_alone), run)
    kept = max(run.reports, key=lambda report: report[metrics.DEV_F1])
    return {name: round(kept[name], 4) for name in SHOWN}


def interval(sd: float, count: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a standard deviation of so many normal values."""
    freedom = count - 1
    return tuple(sd * math.sqrt(freedom / chdtri(freedom, share)) for share in (0.025, 0.975))  # type: ignore[return-value]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a source: how far its seeds alone spread the score."""
    found = []
    for source in SOURCES:
        values = rows.loc[rows["source"] == source, metrics.DEV_F1]
        low, high = interval(values.std(), len(values)) if len(values) > 1 else (math.nan, math.nan)
        found.append({"source": source, "seeds": len(values), "mean": values.mean(), "sd": values.std()})
        found[-1] |= {"sd low": low, "sd high": high}
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    done = GrowingTable(options.output, KEYS)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = options.data or scratch / "synthetic"
        if options.data is None:
            write_local_earthquakes(data)
        common = (data.name, Path(options.teacher).name, options.steps)
        for seed, source in itertools.product(range(1, options.seeds + 1), SOURCES):
            if not done.has(*common, source, seed):
                done.add((*common, source, seed), scores(data, source, seed, options, scratch))
    rows = done.frame
    these = (rows[KEYS[:3]] == pd.Series(common, index=KEYS[:3])).all(axis=1)
    print(table(rows[these]).to_string(index=False, float_format="%.4f"))


if __name__ == "__main__":
    main()
