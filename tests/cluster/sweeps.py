"""What the tests of this folder launch on nodes, as a user's own: `seisweep run cluster.sweeps:toy`.

python -m cluster.sweeps FILE       one after the other all launches that a JSON file lists, in one driver
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search_spaces.sweep import Sweep, single_run
from trainables import distillation, finetuning
from trainables.config import Config
from trainables.run import Run

NOTES = "notes.jsonl"


def toy() -> Sweep:
    """Trials of the toy that nobody stops early."""
    return Sweep(
        name="toy", trainable="toy_trainable:train", space="toy_trainable:space", scheduler="none", sampler="random"
    )


def seconds() -> Sweep:
    """Trials that take a second each."""
    objectives = {"score": "max"}
    return toy().changed(name="seconds", trainable="cluster.sweeps:one_second", objectives=objectives)


def one_second(config: dict[str, Any], run: Run) -> None:
    time.sleep(1)
    run.report({"score": config["x"]})


class Noting(Config):
    notes: Path
    """A folder that all machines see: each worker leaves a line for each epoch that it trained."""

    pause_s: float = 0.0
    """Seconds that a worker waits after each epoch."""


class Distillation(distillation.DistillationConfig, Noting):
    """A distillation that notes where it trains."""


class Finetuning(finetuning.FinetuningConfig, Noting):
    """A fine-tuning that does."""


def distil_seeds() -> Sweep:
    """Settings as they are given, each with several seeds."""
    return Sweep(name="distil", trainable="cluster.sweeps:distil", sampler="grid", scheduler="none")


def distil(config: Distillation, run: Run) -> None:
    distillation.train(config, NotingRun(run, config))  # type: ignore[arg-type]


def fine_tune(config: Finetuning, run: Run) -> None:
    finetuning.train(config, NotingRun(run, config))  # type: ignore[arg-type]


class NotingRun:
    """A run that notes each report, and takes its time."""

    def __init__(self, run: Run, config: Any) -> None:
        self.run, self.config = run, config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.run, name)

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        note = {"seed": self.config.seed, "rank": self.run.rank, "machine": socket.gethostname(), **metrics}
        self.config.notes.mkdir(exist_ok=True)
        with (self.config.notes / NOTES).open("a") as file:
            file.write(json.dumps(note) + "\n")
        self.run.report(metrics, checkpoint)
        time.sleep(self.config.pause_s)


def read_notes(folder: Path) -> list[dict[str, Any]]:
    """In the order in which they were written."""
    return [json.loads(line) for line in (folder / NOTES).read_text().splitlines()]


def launch_all(launches: list[dict[str, Any]]) -> None:
    """Single runs: `name`, `trainable`, `base`, `objectives`, `profile` (a file) and its fields under `changes`."""
    from seisweep.engine.launch import launch
    from seisweep.settings.home import Home
    from seisweep.settings.profile import load_profile, with_limits

    for given in launches:
        sweep = single_run(given["trainable"], given["base"], given["objectives"])
        profile = with_limits(load_profile(given["profile"]), given["changes"])
        outcome = launch(sweep, profile, Home.find(), name=given["name"])
        print(given["name"], outcome.state, [row.reason for row in outcome.rows], flush=True)


if __name__ == "__main__":
    launch_all(json.loads(Path(sys.argv[1]).read_text()))
