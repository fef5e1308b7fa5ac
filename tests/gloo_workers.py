"""Two workers on this machine without any engine: what a `Run` is to each of them, and a training that they share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing, nn

from trainables.run import LocalRun


@dataclass
class GlooRun(LocalRun):
    """One worker's run: the model is wrapped, and only rank 0 keeps checkpoints."""

    def prepare(self, model: nn.Module) -> nn.Module:
        return nn.parallel.DistributedDataParallel(model)

    def report(self, metrics: Any, checkpoint: Path | None = None) -> None:
        super().report(metrics, checkpoint if self.rank == 0 else None)


def train_together(train: Callable[..., None], config: Any, folder: Path, workers: int = 2) -> list[dict[str, float]]:
    """Train with workers that exchange gradients through gloo; the reports of rank 0."""
    folder.mkdir(parents=True)
    multiprocessing.spawn(_work, (workers, train, config, folder), nprocs=workers)
    return json.loads((folder / "reports.json").read_text())


def _work(rank: int, workers: int, train: Callable[..., None], config: Any, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=workers)
    run = GlooRun(folder / f"rank-{rank}", rank=rank, world_size=workers)
    train(config, run)
    if rank == 0:
        (folder / "reports.json").write_text(json.dumps(run.reports))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may outlive the interpreter's end, which then aborts
