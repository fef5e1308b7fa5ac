"""Real trainings that the tests of this folder launch on nodes, as a user's own, and the notes that they leave."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisweep.settings.overrides import flatten
from torch import nn

from search_spaces.sweep import Sweep
from trainables import distillation, finetuning, metrics
from trainables.config import Config
from trainables.run import Run

NOTES = "notes.jsonl"


class Both(Config):
    """A distillation and then a fine-tuning, in the same processes: half the time of two."""

    distillation: distillation.DistillationConfig
    finetuning: finetuning.FinetuningConfig
    notes: Path


def both(config: Both, run: Run) -> None:
    """Each worker notes its losses; nothing of them is reported."""
    distillation.train(config.distillation, NotingRun(run, config.notes, "distillation", is_silent=True))
    finetuning.train(config.finetuning, NotingRun(run, config.notes, "finetuning", is_silent=True))
    run.report({"epoch": 1, metrics.DEV_F1: 1})


class Slow(distillation.DistillationConfig):
    notes: Path
    """A folder that all machines see: each worker leaves a line for each epoch that it trained."""

    pause_s: float = 0.0
    """Seconds that a worker waits after each epoch."""


def distil(config: Slow, run: Run) -> None:
    noting = NotingRun(run, config.notes, f"seed {config.seed}", pause_s=config.pause_s)
    distillation.train(config, noting)


def distil_seeds() -> Sweep:
    """Settings as they are given, each with several seeds."""
    return Sweep(name="distil", trainable="cluster.trainings:distil", sampler="grid", scheduler="none")


class NotingRun:
    """A run that notes where it trains and what it reports, under a heading of its own."""

    def __init__(self, run: Run, notes: Path, what: str, *, pause_s: float = 0, is_silent: bool = False) -> None:
        self.run, self.notes, self.what, self.pause_s, self.is_silent = run, notes, what, pause_s, is_silent
        self.device, self.rank, self.world_size, self.workdir = run.device, run.rank, run.world_size, run.workdir / what
        self.workdir.mkdir(parents=True)
        notes.mkdir(exist_ok=True)

    def prepare(self, model: nn.Module) -> nn.Module:
        return self.run.prepare(model)

    def resume_from(self) -> Path | None:
        return self.run.resume_from()

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        note = {"what": self.what, "rank": self.rank, "machine": socket.gethostname(), **metrics}
        with (self.notes / NOTES).open("a") as file:
            file.write(json.dumps(note) + "\n")
        if not self.is_silent:
            self.run.report(metrics, checkpoint)
        time.sleep(self.pause_s)


def settings_as_words(settings: Mapping[str, Any]) -> list[str]:
    """Nested settings as a command line takes them."""
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in flatten(settings)]


def read_notes(folder: Path) -> list[dict[str, Any]]:
    """In the order in which they were written; the last one may be half there and is left out then."""
    file = folder / NOTES
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []
