"""What it saves that trials with the same seed ask their teacher once, and what it costs the first.

Three trials alternate step by step in one process, on one thread: one that asks its teacher each time, one that asks
first and keeps the answers, one that reads them. Answers that are kept are computed in float32; where the processor has
bfloat16 and trials use it, who asks first pays for that. What float16 does to losses is seen in two ways, in float32:
both losses at each step of one training, with the same weights; and three whole trainings with the same seed, in which
the least difference grows from step to step. What it prints stands in `teacher_outputs.csv` beside it.

    python benchmarks/teacher_outputs.py [--data FOLDER] [--teacher WEIGHTS] [--steps 60] [--epochs 3]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import torch
from torch import nn
from training_step import our_batches, random_teacher

from trainables import metrics
from trainables.data.batches import Batch
from trainables.data.config import WINDOW_SAMPLES
from trainables.data.synthetic import write_local_earthquakes
from trainables.data.teacher_outputs import AskedOnce
from trainables.distillation import DistillationConfig, DistillationLossConfig, distillation_losses, train
from trainables.models.teacher import TeacherConfig, load_teacher
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun
from trainables.training.picker import student_logits
from trainables.training.precision import autocast, has_bf16

TABLE = Path(__file__).with_suffix(".csv")
STUDENTS = [(8, 2), (4, 2), (8, 4)]
"""Base channels and pooling."""
SIDES = ("asks each time", "asks first", "reads")
LOSSES = (metrics.TRAIN_LOSS, metrics.DISTILL_LOSS)
BATCH = 32
Precision = Literal["auto", "fp32"]


class Side:
    """A trial: its own student, optimizer and batches."""

    def __init__(self, teacher: nn.Module, batches: Iterator[Batch], base: int, pooling: int) -> None:
        torch.manual_seed(0)
        self.teacher, self.batches, self.student = teacher, batches, XiaoNet(base_channels=base, pooling=pooling)
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=1e-3)

    def losses(self, batch: Batch, precision: Precision) -> dict[str, torch.Tensor]:
        with autocast(torch.device("cpu"), precision):
            logits_BCT = student_logits(self.student, batch).float()
            return distillation_losses(logits_BCT, batch, self.teacher, DistillationLossConfig())

    def step(self, precision: Precision) -> float:
        """Processor seconds of a whole step, those of a writing thread included."""
        started_s = time.process_time()
        losses = self.losses(next(self.batches), precision)
        self.learn(losses)
        return time.process_time() - started_s

    def learn(self, losses: dict[str, torch.Tensor]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        losses[metrics.TRAIN_LOSS].backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()


def speed(
    base: int, pooling: int, dataset: str, teacher: nn.Module, steps: int, precision: Precision, scratch: Path
) -> list[dict[str, Any]]:
    """A row for each trial. The one that reads finds what was asked before the clock ran."""
    arithmetic = "bf16" if precision == "auto" and has_bf16(torch.device("cpu")) else "fp32"

    def kept(folder: str) -> AskedOnce:
        return AskedOnce(teacher, [], scratch / folder, 4.0, heard_samples=WINDOW_SAMPLES, is_distribution=True)

    def batches() -> Iterator[Batch]:
        return our_batches(dataset, BATCH, scratch / "stores")

    before = kept("read")
    for _, batch in zip(range(steps + 1), batches(), strict=False):
        before(batch.raw_BXT)
    before.close()
    sides = [
        Side(given, batches(), base, pooling) for given in (teacher, kept(f"first-{base}-{pooling}"), kept("read"))
    ]
    times = [[side.step(precision) for side in sides] for _ in range(steps + 1)][1:]  # the first round warms up
    rows = []
    for side, name in enumerate(SIDES):
        ratios = sorted(one[0] / one[side] for one in times)
        rows.append(
            {
                "student": f"base {base} pooling {pooling}, {arithmetic}",
                "trial": name,
                "step_ms": round(1000 * statistics.median(one[side] for one in times), 1),
                "times_as_fast": round(statistics.median(ratios), 3),
                "quarter": round(ratios[len(ratios) // 4], 3),
                "three_quarters": round(ratios[3 * len(ratios) // 4], 3),
            }
        )
    return rows


def rounding(dataset: str, teacher: nn.Module, steps: int, scratch: Path) -> dict[str, Any]:
    """How far losses from kept answers are from those of the teacher itself, with the same weights, step by step."""
    kept = AskedOnce(teacher, [], scratch / "rounding", 4.0, heard_samples=WINDOW_SAMPLES, is_distribution=True)
    side = Side(teacher, our_batches(dataset, BATCH, scratch / "stores"), 8, 4)
    differences = []
    for _ in range(steps):
        batch = next(side.batches)
        side.teacher = kept
        with torch.no_grad():
            rounded = side.losses(batch, "fp32")
        side.teacher = teacher
        own = side.losses(batch, "fp32")
        differences.append(max(abs(float(rounded[loss] / own[loss].detach()) - 1) for loss in LOSSES))
        side.learn(own)
    kept.close()
    return {
        "student": f"base 8 pooling 4, fp32, {steps} steps",
        "trial": "same weights",
        "largest_loss_difference": float(f"{max(differences):.2g}"),
    }


def trainings(dataset: str, weights: str, epochs: int, scratch: Path) -> list[dict[str, Any]]:
    """A row for each of three whole trainings: how far their losses are from those of the one that asks each time."""
    reports: dict[str, list[dict[str, float]]] = {}
    for name in SIDES:
        settings = {
            "data": {"dataset": dataset, "cache_dir": str(scratch / "trained"), "dev_windows_per_trace": 4},
            "teacher": {"weights": weights, "outputs_gb": 0 if name == SIDES[0] else 4},
            "student": {"base_channels": 8, "pooling": 4},
            "training": {"epochs": epochs, "batch_size": BATCH, "precision": "fp32"},
            "export": {"enabled": False},
        }
        run = LocalRun(scratch / name.replace(" ", "-"))
        run.workdir.mkdir()
        train(DistillationConfig.model_validate(settings), run)
        reports[name] = run.reports[:epochs]
    expected = reports[SIDES[0]]
    size_bytes = sum(file.stat().st_size for file in (scratch / "trained").rglob("*.answers"))
    return [
        {
            "student": f"base 8 pooling 4, fp32, {epochs} epochs",
            "trial": name,
            "first_epoch_loss_difference": difference(of_side[:1], expected[:1]),
            "largest_loss_difference": difference(of_side, expected),
            "dev_f1": round(of_side[-1][metrics.DEV_F1], 5),
            "mb_an_epoch": round(size_bytes / 1e6 / epochs, 1),
        }
        for name, of_side in reports.items()
    ]


def difference(reports: list[dict[str, float]], expected: list[dict[str, float]]) -> float:
    """The largest of the losses, as a share of what is expected."""
    pairs = [
        abs(mine[loss] / theirs[loss] - 1) for mine, theirs in zip(reports, expected, strict=True) for loss in LOSSES
    ]
    return float(f"{max(pairs):.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of a SeisBench data set; default: synthetic earthquakes")
    parser.add_argument("--teacher", help="PhaseNet weights, a name or a file; default: random ones")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32"), nargs="+", default=["auto", "fp32"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        teacher = load_teacher(TeacherConfig(weights=arguments.teacher)) if arguments.teacher else random_teacher()
        dataset, weights = arguments.data or str(scratch / "earthquakes"), arguments.teacher
        if not arguments.data:
            write_local_earthquakes(Path(dataset), num_events=40)
        if not weights:
            weights = str(scratch / "random")
            teacher.picker.network.save(weights, version_str="1")  # type: ignore[operator]
        rows = []
        for precision, (base, pooling) in itertools.product(arguments.precision, STUDENTS):
            place = scratch / precision
            rows += speed(base, pooling, dataset, teacher, arguments.steps, precision, place)
        rows.append(rounding(dataset, teacher, arguments.steps, scratch))
        rows += trainings(dataset, weights, arguments.epochs, scratch) if arguments.epochs else []
    names = list(dict.fromkeys(name for row in rows for name in row))
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    with TABLE.open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
