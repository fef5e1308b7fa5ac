"""A distillation step of ours against the document's own way, side by side on one core.

Both do the whole step: windows and labels, the teacher's and the student's forward pass, the losses, backward
pass and optimizer, at base 16, pooling 2. The document's way draws windows one by one through SeisBench's
generator and trains a float32 network of one-dimensional convolutions with the same weights.

    python benchmarks/training_step.py [--data FOLDER] [--teacher WEIGHTS] [--batch-size 32] [--rounds 10]
"""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from seisbench.models import PhaseNet
from seisbench_pipeline import prescribed_generator
from torch import Tensor, nn

from trainables.data.batches import Batch
from trainables.data.config import COMPONENT_ORDER, DataConfig
from trainables.data.mixing import training_batches
from trainables.data.synthetic import write_local_earthquakes
from trainables.data.windows import open_store
from trainables.distillation import DistillationLossConfig, distillation_losses
from trainables.metrics import TRAIN_LOSS
from trainables.models.fast_layers import FastConv1d, JoinConv1d
from trainables.models.teacher import Teacher, TeacherConfig, load_teacher
from trainables.models.xiaonet import CLASSES, XiaoNet
from trainables.training.picker import student_logits
from trainables.training.precision import autocast


class DocumentStudent(nn.Module):
    """XiaoNet's weights in one-dimensional layers, as the document writes it."""

    def __init__(self, student: XiaoNet) -> None:
        super().__init__()
        student = copy.deepcopy(student)
        self.encoder, self.bottleneck = map(_one_dimensional, (student.encoder, student.bottleneck))
        self.decoder, self.head = map(_one_dimensional, (student.decoder, student.head))

    def forward(self, x_BXT: Tensor) -> Tensor:
        y_BCT, skips = x_BXT[..., :3000], []
        for block in self.encoder:
            y_BCT = block(y_BCT)
            skips.append(y_BCT)
            y_BCT = F.max_pool1d(y_BCT, 2)
        y_BCT = self.bottleneck(y_BCT)
        for block in self.decoder:
            y_BCT = block(torch.cat([skips.pop(), F.interpolate(y_BCT, scale_factor=2.0)], dim=1))
        logits_BCT = self.head(y_BCT)
        return torch.cat([logits_BCT, logits_BCT[..., -1:]], dim=-1)


def _one_dimensional(module: nn.Module) -> nn.Module:
    if isinstance(module, FastConv1d | JoinConv1d):
        plain = nn.Conv1d(module.in_channels, module.out_channels, module.kernel_size, padding=module.padding)
        plain.load_state_dict(module.state_dict())
        return plain
    if isinstance(module, nn.BatchNorm2d):
        norm = nn.BatchNorm1d(module.num_features)
        norm.load_state_dict(module.state_dict())
        return norm
    for name, child in module.named_children():
        setattr(module, name, _one_dimensional(child))
    return module


def random_teacher() -> Teacher:
    return Teacher(PhaseNet(phases=CLASSES, component_order=COMPONENT_ORDER, sampling_rate=100, norm="peak"))


def our_batches(dataset: str, batch_size: int, cache_dir: Path) -> Iterator[Batch]:
    config = DataConfig(dataset=dataset, cache_dir=cache_dir)
    store = open_store(config, "train")
    return training_batches(
        store, config, seed=0, epoch=1, num_steps=10**9, batch_size=batch_size, device=torch.device("cpu")
    )


def document_batches(dataset: str, batch_size: int) -> Iterator[Batch]:
    """The same windows' distribution, one sample after the other through SeisBench's augmentations."""
    generator = prescribed_generator(dataset, metadata_cache=False, keep_raw=True)
    np.random.seed(0)
    while True:
        samples = [generator[int(np.random.randint(len(generator)))] for _ in range(batch_size)]
        yield Batch(
            *(torch.from_numpy(np.stack([s[key] for s in samples]).astype(np.float32)) for key in ("raw", "X", "y"))
        )


def step(
    batches: Iterator[Batch],
    logits: Callable[[Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    precision: Literal["auto", "fp32"],
    teacher: Teacher,
) -> tuple[float, float]:
    """One whole step; processor seconds of the data and of all of it."""
    started_s = time.process_time()
    batch = next(batches)
    drawn_s = time.process_time()
    with autocast(torch.device("cpu"), precision):
        losses = distillation_losses(logits(batch).float(), batch, teacher, DistillationLossConfig())
    optimizer.zero_grad(set_to_none=True)
    losses[TRAIN_LOSS].backward()
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return drawn_s - started_s, time.process_time() - started_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of a SeisBench data set; default: synthetic earthquakes")
    parser.add_argument("--teacher", help="PhaseNet weights, a name or a file; default: random ones")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)

    teacher = load_teacher(TeacherConfig(weights=arguments.teacher)) if arguments.teacher else random_teacher()
    student = XiaoNet(base_channels=16, pooling=2)
    document_student = DocumentStudent(student)

    with tempfile.TemporaryDirectory() as scratch:
        dataset = arguments.data or str(Path(scratch, "earthquakes"))
        if arguments.data is None:
            write_local_earthquakes(Path(dataset), num_events=40)
        sides = {
            "document's way": (
                document_batches(dataset, arguments.batch_size),
                lambda batch: document_student(batch.normalised_BXT),
                torch.optim.Adam(document_student.parameters(), lr=1e-3),
                "fp32",
            ),
            "seisweep": (
                our_batches(dataset, arguments.batch_size, Path(scratch, "cache")),
                lambda batch: student_logits(student, batch),
                torch.optim.Adam(student.parameters(), lr=1e-3),
                "auto",
            ),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(arguments.rounds + 1):  # the first round warms up
            for name, side in sides.items():
                times[name].append(step(*side, teacher))

    print(f"Whole distillation step, base 16, pooling 2, batch {arguments.batch_size}, one thread, processor time")
    print(f"{'':16} {'data, ms':>10} {'step, ms':>10}")
    for name, of_side in times.items():
        data_s, step_s = (statistics.median(column) for column in zip(*of_side[1:], strict=True))
        print(f"{name:16} {1000 * data_s:10.1f} {1000 * step_s:10.1f}")
    ratios = [a[1] / b[1] for a, b in zip(*(of_side[1:] for of_side in times.values()), strict=True)]
    print(f"seisweep is {statistics.median(ratios):.2f} times faster ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
