"""What augmentations cost: processor time of a batch with each, and as a share of a distillation step, in alternation.

python benchmarks/augmentation_cost.py --data FOLDER --teacher WEIGHTS [--batch-size 32] [--rounds 15]
"""

from __future__ import annotations

import os

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # before numpy and torch are imported

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from augmentations import NONE, WAYS

from trainables.data.batches import Batch
from trainables.data.config import DataConfig
from trainables.data.mixing import training_batches
from trainables.data.windows import open_store
from trainables.distillation import DistillationLossConfig, distillation_losses
from trainables.metrics import TRAIN_LOSS
from trainables.models.teacher import TeacherConfig, load_teacher
from trainables.models.xiaonet import StudentConfig, build_student
from trainables.training.picker import student_logits

BATCHES = 10
"""Of each kind a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    step = step_of(given.teacher)
    times_ms: dict[str, list[float]] = {name: [] for name in ("step", *WAYS)}
    with tempfile.TemporaryDirectory() as folder:
        plain = DataConfig(dataset=given.data, cache_dir=Path(folder))
        batches = {}
        for name, settings in WAYS.items():
            config = DataConfig.model_validate(plain.model_dump() | settings)
            store = open_store(config, "train")
            options = {"seed": 0, "epoch": 0, "num_steps": 10**9, "batch_size": given.batch_size, "device": "cpu"}
            batches[name] = training_batches(store, config, **options)
        for _ in range(given.rounds + 1):
            for name, its in batches.items():
                begin_s = time.process_time()
                for _ in range(BATCHES):
                    batch = next(its)
                times_ms[name].append(1e3 * (time.process_time() - begin_s) / BATCHES)
            begin_s = time.process_time()
            step(batch)
            times_ms["step"].append(1e3 * (time.process_time() - begin_s))
    times_ms = {name: values[1:] for name, values in times_ms.items()}  # the first round warms up
    step_ms = statistics.median(times_ms["step"])
    print(f"a step of {given.batch_size} windows without them: {step_ms:.1f} ms")
    for name, values in list(times_ms.items())[1:]:
        more = statistics.median(a - b for a, b in zip(values, times_ms[NONE], strict=True))
        print(f"{name:16} {statistics.median(values):7.2f} ms a batch {more:+7.2f} ms {100 * more / step_ms:+6.1f} %")


def step_of(weights: str) -> Callable[[Batch], None]:
    """A whole step of a student of base 8, pooling 4 and wide context, its teacher included, but for the batch."""
    student = build_student(StudentConfig(base_channels=8, pooling=4, context="wide"))
    teacher, loss = load_teacher(TeacherConfig(weights=weights)), DistillationLossConfig()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        distillation_losses(student_logits(student, batch), batch, teacher, loss)[TRAIN_LOSS].backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
