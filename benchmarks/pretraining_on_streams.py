"""What pretraining learns of waveforms that nobody labelled: continuous streams and records, on one core.

    python benchmarks/pretraining_on_streams.py [--seeds 0 1 2] [--epochs 1] [--data ../shared/real_data]

A model for a CPU learns from all of `continuous` and three sets of records at once, without looking at a pick. Held-out
waveforms are dev: hours of the streams that training has not seen, and dev records. Test hours and records are not
read. Accuracy is that of finding the positive among 101; what finds it by chance has 1/101. A row a seed goes into the
table beside this script as soon as it is there; weights before training stand beside those after it.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY)]

from trainables import metrics
from trainables.data.waveform_sources import WaveformDataConfig
from trainables.data.waveforms import Waveforms
from trainables.models.contrastive import ContrastiveModel
from trainables.models.representation_config import cpu_sized
from trainables.pretraining import PretrainingConfig, preflight
from trainables.run import LocalRun
from trainables.training.loop import fit, seeded
from trainables.training.pretraining import ContrastiveTask
from trainables.training.state import cosine_state

TABLE = Path(__file__).with_suffix(".csv")
RECORDS = "phasenet_nc_a", "nc_phasenet_test", "nc_deepdenoiser_p_only"
FEW_BATCHES = 4
"""Of 32 held-out windows: before training and after each epoch. At the end all of them are looked at."""

T_OF_3_SEEDS = 4.303
"""Student's t, two-sided 95 %, two degrees of freedom."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "real_data")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in options.seeds:
            rows += one_seed(configuration(options.data.resolve(), Path(scratch), seed, options.epochs), Path(scratch))
            with TABLE.open("w", newline="") as file:
                table = csv.DictWriter(file, rows[0], lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
            print(f"seed {seed}: {rows[-2:]}", flush=True)
    summary(rows)


def configuration(data: Path, scratch: Path, seed: int, epochs: int) -> PretrainingConfig:
    settings = {
        "dataset": [str(data / name) for name in RECORDS],
        "streams": str(data / "continuous"),
        "cache_dir": scratch / "cache",
    }
    # Short masks and few codes, as in `seisweep demo foreshock`: a small model learns hardly anything with long ones.
    return PretrainingConfig.model_validate(
        {
            "seed": seed,
            "data": settings,
            "model": cpu_sized().model_dump(),
            "contrast": {"mask_length": 2, "codes": 64, "code_width": 32},
            "training": {"epochs": epochs, "batch_size": 8, "learning_rate": 0.01, "limit_dev_batches": FEW_BATCHES},
        }
    )


def one_seed(config: PretrainingConfig, scratch: Path) -> list[dict[str, object]]:
    """Train once; a row for each held-out part, of the weights before and after training."""
    if config.seed == 0:
        print(preflight(config)["data_notice"], flush=True)
    run = LocalRun(scratch / f"seed-{config.seed}")
    train, dev = Waveforms.open(config.data, config.least_samples, run.device)
    task = task_of(config, train, dev, run)
    model = seeded(lambda: ContrastiveModel(config.model, config.contrast), config.seed, run)
    before = {part: scores(model, task_of(config, train, its, run)) for part, its in held_out(config, run)}
    state = cosine_state(model, config.training, task.num_steps())
    started_s = time.monotonic()
    fit(state, task, config.training, config.seed, run)
    state.restore_best()
    minutes = (time.monotonic() - started_s) / 60
    config = config.model_copy(update={"training": config.training.model_copy(update={"limit_dev_batches": None})})
    rows: list[dict[str, object]] = []
    for part, its in held_out(config, run):
        after = scores(model, task_of(config, train, its, run))
        rows.append(
            {
                "seed": config.seed,
                "held out": part,
                "windows": len(its),
                "train windows": len(train),
                "steps": config.training.epochs * task.num_steps(),
                "chance": f"{1 / (config.contrast.negatives + 1):.4f}",
                "accuracy before": f"{before[part][metrics.DEV_ACCURACY]:.4f}",
                "accuracy": f"{after[metrics.DEV_ACCURACY]:.4f}",
                "perplexity": f"{after[metrics.pretraining('dev', 'perplexity')]:.1f}",
                "of codes": config.contrast.groups * config.contrast.codes,
                "minutes": f"{minutes:.1f}",
            }
        )
    return rows


def held_out(config: PretrainingConfig, run: LocalRun) -> Iterator[tuple[str, Waveforms]]:
    """Dev of the streams and of the records."""
    for part, alone in (("stream hours", {"dataset": None}), ("records", {"streams": None})):
        data = WaveformDataConfig.model_validate(config.data.model_dump() | alone)
        yield part, Waveforms.open(data, config.least_samples, run.device)[1]


def task_of(config: PretrainingConfig, train: Waveforms, dev: Waveforms, run: LocalRun) -> ContrastiveTask:
    return ContrastiveTask(train, dev, config.training, config.contrast, config.samples_per_token, config.seed, run)


def scores(model: torch.nn.Module, task: ContrastiveTask) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        return task.evaluate(model)


def summary(rows: list[dict[str, object]]) -> None:
    """Mean over seeds and, of three, its 95 % interval by Student's t."""
    for part in dict.fromkeys(row["held out"] for row in rows):
        its = [row for row in rows if row["held out"] == part]
        words = []
        for name in ("accuracy", "perplexity"):
            values = [float(str(row[name])) for row in its]
            mean = statistics.fmean(values)
            half = T_OF_3_SEEDS * statistics.stdev(values) / math.sqrt(3) if len(values) == 3 else math.nan
            words.append(f"{name} {mean:.4g} +- {half:.2g}")
        print(f"{part}: {', '.join(words)} (chance {its[0]['chance']}, {its[0]['of codes']} codes, {len(its)} seeds)")


if __name__ == "__main__":
    main()
