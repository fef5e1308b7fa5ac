"""What the tests of this folder launch on nodes, as a user's own: `seisweep run cluster.sweeps:toy`. It imports nothing
heavy, as each driver and each trial imports it; what trains is in `trainings.py`.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import toy_trainable
from toy_trainable import ToyConfig

from cluster.commands import wait_until
from search_spaces.sweep import Sweep
from trainables.run import Run


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
