"""The trainable that the kill matrix kills: it notes what it does, so that a killer knows its phase and process.

Every note is a line of `notes.jsonl` in the folder `notes`, one write each, with the process and the time. The
artifacts' content follows from `x` alone, so that anyone can tell whether one is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from search_spaces.sweep import Sweep
from trainables.config import Config
from trainables.run import ARTIFACTS, TAGS, Run

NOTES_FILE = "notes.jsonl"
ARTIFACT_BYTES = {"model.bin": 400_000, "figures/curve.bin": 40_000, "table.bin": 4_000}


class VictimTraining(Config):
    epochs: int = 4
    """Epochs of a trial."""


class VictimConfig(Config):
    x: float = 0.5
    """Tells one trial from another; the score is best at 0.3."""
    notes: Path
    """Folder of the notes."""
    pace_s: float = 0.4
    """Seconds that an epoch takes, and the export."""
    seed: int = 0
    training: VictimTraining = VictimTraining()


def train(config: VictimConfig, run: Run) -> None:
    resumed = run.resume_from()
    epoch = json.loads((resumed / "state.json").read_text())["epoch"] if resumed else 0
    note(config, "begin", epoch)
    folder = run.workdir / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    while epoch < config.training.epochs:
        epoch += 1
        note(config, "epoch", epoch)
        time.sleep(config.pace_s)
        (folder / "state.json").write_text(json.dumps({"epoch": epoch}))
        run.report({"epoch": epoch, "final": 0, **scores(config.x, epoch)}, folder if run.rank == 0 else None)
    note(config, "export", epoch)
    for name, content in artifacts(config.x).items():
        file = folder / ARTIFACTS / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        time.sleep(config.pace_s / len(ARTIFACT_BYTES))
    (folder / TAGS).write_text(json.dumps({"exported": "whole"}))
    run.report({"epoch": epoch, "final": 1, **scores(config.x, epoch)}, folder if run.rank == 0 else None)
    note(config, "end", epoch)


def scores(x: float, epoch: int) -> dict[str, float]:
    return {"train/loss": 1 / epoch, "dev/f1": (1 - 0.5**epoch) * (1 - (x - 0.3) ** 2)}


def artifacts(x: float) -> dict[str, bytes]:
    """Files that a trial exports, by name."""
    return {name: hashlib.shake_128(f"{x!r} {name}".encode()).digest(size) for name, size in ARTIFACT_BYTES.items()}


def note(config: VictimConfig, event: str, epoch: int) -> None:
    line = {"event": event, "x": config.x, "epoch": epoch, "pid": os.getpid(), "time_ms": time.time_ns() // 1_000_000}
    with (config.notes / NOTES_FILE).open("a") as file:
        file.write(json.dumps(line) + "\n")


def read_notes(folder: Path) -> list[dict[str, Any]]:
    """The notes so far; a line that is being written is left out."""
    file = folder / NOTES_FILE
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def space(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 1.0)


def sweep() -> Sweep:
    return Sweep(
        name="victim", trainable="victim:train", space="victim:space", samples=3, scheduler="none", defaults_first=False
    )
