"""The trial of `sweep_overhead.py`: it computes nothing, so that what its sweep costs is the engine's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCORE = "score"
METRICS = 3
"""A step reports the score and two more."""


def train(config: dict[str, Any], run: Any) -> None:
    """As seisweep's trainable."""
    mark(config, "loop")
    for epoch in range(1, config["epochs"] + 1):
        run.report(step(config, epoch))
    mark(config, "reported")


def tune_function(config: dict[str, Any]) -> None:
    """As a plain function of Ray Tune."""
    from ray import tune

    for epoch in range(1, config["epochs"] + 1):
        tune.report(step(config, epoch))


def step(config: Mapping[str, Any], epoch: int) -> dict[str, float]:
    return {SCORE: epoch - (config["x"] - 0.3) ** 2} | {f"other_{n}": float(epoch) for n in range(1, METRICS)}


def space(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 1.0)


def mark(config: Mapping[str, Any], what: str) -> None:
    """A line about this process in the file `marks`, where the benchmark wants one."""
    if config.get("marks"):
        import psutil  # Ray brings its own

        facts = {"what": what, "time_s": time.time(), "born_s": psutil.Process(os.getpid()).create_time()}
        with Path(config["marks"]).open("a") as file:
            file.write(json.dumps(facts) + "\n")
