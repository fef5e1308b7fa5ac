"""Real distillations on a real local Ray: interrupted or not, the losses are the same.

That two workers have those of one with the joint batch is tested with gloo (`tests/trainables`) and, by Ray Train, on
two nodes (`tests/cluster`).
"""

from __future__ import annotations

import os
import signal

import pytest
from seisweep.engine import launch as engine
from seisweep.engine.outcome import Silent
from seisweep.results import load
from seisweep.settings.overrides import flatten
from seisweep.settings.profile import Profile

from search_spaces.sweep import single_run
from trainables import metrics
from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("local_ray")]

LOSSES = [metrics.TRAIN_LOSS, metrics.TASK_LOSS, metrics.DISTILL_LOSS, metrics.DEV_LOSS, metrics.DEV_F1]
EPOCHS = [1, 2, 3]


class InterruptAfterEpoch2(Silent):
    """Presses Ctrl-C when it sees epoch 2 for the first time."""

    def __init__(self):
        self.pressed = False

    def trial_update(self, row):
        if row.epoch == 2 and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def settings(tiny):
    """Group normalisation, no dropout: nothing in a step depends on how the batch is cut."""
    return tiny | {"student": {"base_channels": 4, "pooling": 4, "norm": "group"}}


@pytest.fixture
def uninterrupted(settings, tmp_path):
    run = LocalRun(tmp_path / "uninterrupted")
    train(DistillationConfig.model_validate(settings), run)
    return [[report[name] for name in LOSSES] for report in run.reports[:-1]]


def losses(home, name):
    """One row for each epoch of the sweep's only trial, as MLflow has it."""
    curves = load(name, home.mlflow_uri).curves(*LOSSES).loc[0]
    assert curves.index.is_unique
    return curves.loc[EPOCHS].to_numpy().tolist()


def launch(settings, home, name, profile, watch=None):
    sweep = single_run("distillation", dict(flatten(settings)))
    return engine.launch(sweep, profile, home, name=name, watch=watch)


@pytest.mark.parametrize("runner", ["in-process", "ray-train"])
def test_interrupted_and_resumed_equals_uninterrupted(settings, uninterrupted, engine_home, runner):
    watch = InterruptAfterEpoch2()
    settings["training"] = settings["training"] | {"epochs": 12, "patience": 12}
    outcome = launch(settings, engine_home, "run", Profile(runner=runner), watch)
    assert watch.pressed
    assert outcome.state == "interrupted"

    outcome = engine.resume("run", None, engine_home)
    assert outcome.state == "finished"
    for found, expected in zip(losses(engine_home, "run"), uninterrupted, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
