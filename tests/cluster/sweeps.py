"""What the tests of this folder launch on nodes, as a user's own: `seisweep run cluster.sweeps:toy`.

python -m cluster.sweeps FILE       one after the other all launches that a JSON file lists, in one driver
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import toy_trainable
from seisweep.settings.overrides import flatten
from torch import nn
from toy_trainable import ToyConfig

from cluster.commands import wait_until
from search_spaces.sweep import Sweep
from trainables import distillation, finetuning, metrics
from trainables.config import Config
from trainables.run import Run

NOTES = "notes.jsonl"


def toy() -> Sweep:
    """Trials of the toy that nobody stops early."""
    return Sweep(
        name="toy", trainable="toy_trainable:train", space="toy_trainable:space", scheduler="none", sampler="random"
    )


def wandering() -> Sweep:
    """The toy, whose trials say on which nodes they begin."""
    return toy().changed(name="wandering", trainable="toy_trainable:train_and_say_where")


class MeetingConfig(ToyConfig):
    meeting: Path
    """A folder that all machines see."""


def meeting() -> Sweep:
    """The toy on three machines at a time: no trial begins before one is on each."""
    return toy().changed(name="meeting", trainable="cluster.sweeps:meet")


def meet(config: MeetingConfig, run: Run) -> None:
    config.meeting.mkdir(exist_ok=True)
    (config.meeting / socket.gethostname()).touch()
    wait_until(lambda: len(list(config.meeting.iterdir())) == 3, 180, "the others do not come")
    toy_trainable.train(config, run)


def seconds() -> Sweep:
    """Trials that take a second each."""
    objectives = {"score": "max"}
    return toy().changed(name="seconds", trainable="cluster.sweeps:one_second", objectives=objectives)


def one_second(config: dict[str, Any], run: Run) -> None:
    time.sleep(1)
    run.report({"score": config["x"]})


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
    return Sweep(name="distil", trainable="cluster.sweeps:distil", sampler="grid", scheduler="none")


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
