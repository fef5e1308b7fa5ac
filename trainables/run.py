"""What a training function may know of the world around it: the `Run` protocol, and a run without an engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a trainable without torch need not wait two seconds for it
    import torch
    from torch import nn

ARTIFACTS = "artifacts"
"""Folder of a checkpoint that holds files for people: ONNX, figures, tables. The last one reported is kept."""

TAGS = "tags.json"
"""File of a checkpoint with facts in words, `{"name": "value"}`: data fingerprint, hints, the gate's reasons."""


class Run(Protocol):
    """One training run, seen from inside. Every worker of a distributed run holds its own."""

    rank: int
    world_size: int
    workdir: Path
    """Scratch folder of this run. Only rank 0 writes."""

    @property
    def device(self) -> torch.device: ...

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move to the device; wrap in DistributedDataParallel when `world_size > 1`."""

    def resume_from(self) -> Path | None:
        """Folder of the checkpoint to go on from, None at a fresh start."""

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        """Hand over one epoch's metrics. Called by every rank; rank 0's metrics and checkpoint count.

        The folder `checkpoint` is copied before the call returns and may be overwritten afterwards.
        """


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")


@dataclass
class LocalRun:
    """A run in this process, without an engine: for tests, notebooks and machines that have no Ray.

    Keeps every report in `reports` and the latest checkpoint in `workdir/checkpoint`; a second `LocalRun`
    on the same folder goes on from there.
    """

    workdir: Path
    device: torch.device = field(default_factory=_cpu)
    rank: int = 0
    world_size: int = 1
    reports: list[dict[str, float]] = field(default_factory=list)

    def prepare(self, model: nn.Module) -> nn.Module:
        return model.to(self.device)

    @property
    def checkpoint(self) -> Path:
        return self.workdir / "checkpoint"

    @property
    def _leaving(self) -> Path:
        return self.workdir / "checkpoint.leaving"

    def resume_from(self) -> Path | None:
        if not self.checkpoint.exists() and self._leaving.exists():  # killed while one took the other's place
            self._leaving.rename(self.checkpoint)
        return self.checkpoint if self.checkpoint.exists() else None

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        self.reports.append(dict(metrics))
        if checkpoint is not None:
            arriving = self.workdir / "checkpoint.arriving"
            shutil.rmtree(arriving, ignore_errors=True)
            shutil.copytree(checkpoint, arriving)
            if self.checkpoint.exists():
                shutil.rmtree(self._leaving, ignore_errors=True)
                self.checkpoint.rename(self._leaving)
            arriving.rename(self.checkpoint)
            shutil.rmtree(self._leaving, ignore_errors=True)


def read_tags(checkpoint: Path) -> dict[str, str]:
    """The facts in words of a checkpoint; empty where it has none."""
    file = checkpoint / TAGS
    return json.loads(file.read_text()) if file.exists() else {}
