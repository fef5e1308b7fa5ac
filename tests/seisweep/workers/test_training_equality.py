"""Real distillations on a real local Ray: interrupted or not, on one worker or two, the losses are the same."""

from __future__ import annotations

import os
import signal

import pytest
from seisweep.engine import launch as engine
from seisweep.engine.outcome import Silent
from seisweep.results import load
from seisweep.settings.overrides import flatten
from seisweep.settings.profile import Profile

from search_spaces.named import objectives_of
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
    settings["training"] = settings["training"] | {"epochs": 30, "patience": 30}
    outcome = launch(settings, engine_home, "run", Profile(runner=runner), watch)
    assert watch.pressed
    assert outcome.state == "interrupted"

    outcome = engine.resume("run", None, engine_home)
    assert outcome.state == "finished"
    for found, expected in zip(losses(engine_home, "run"), uninterrupted, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_two_workers_equal_one_with_the_joint_batch(settings, uninterrupted, engine_home):
    settings["training"] = settings["training"] | {"precision": "fp32"}
    one = launch(settings, engine_home, "one", Profile())
    two = launch(settings, engine_home, "two", Profile(workers=2))
    assert one.state == two.state == "finished"
    for of_two, of_one in zip(losses(engine_home, "two"), losses(engine_home, "one"), strict=True):
        assert of_two == pytest.approx(of_one, rel=1e-4)


def test_two_ray_workers_unfreeze_like_one_with_the_joint_batch(engine_home, tmp_path):
    """What learns changes in epoch 2: the model is prepared again, and its old wrapper exchanges nothing more."""
    from trainables.data.synthetic_sequence import write_synthetic_sequence
    from trainables.models.pretrained import save_encoder
    from trainables.models.representation import Representation
    from trainables.models.representation_config import cpu_sized

    small = cpu_sized(d_model=8, conv_width=8, qkv_proj_blocksize=2)
    write_synthetic_sequence(tmp_path / "nrca", num_events=200)
    save_encoder(Representation(small), tmp_path / "encoder.pt")
    settings = {
        "data": {"dataset": str(tmp_path / "nrca"), "num_classes": 2},
        "model": small.model_dump(exclude_unset=True) | {"pretrained": str(tmp_path / "encoder.pt")},
        "head": {"dropout": 0.0},
        "freezing": {"schedule": "progressive", "unfreeze_at_epoch": 2},
        "training": {"epochs": 3, "batch_size": 8, "limit_train_batches": 3, "precision": "fp32"},
    }
    sweep = single_run("finetuning", dict(flatten(settings)), objectives_of("finetuning"))
    found = []
    for name, profile in {"one": Profile(), "two": Profile(workers=2)}.items():
        assert engine.launch(sweep, profile, engine_home, name=name).state == "finished"
        curves = load(name, engine_home.mlflow_uri).curves(metrics.TRAIN_LOSS, metrics.DEV_LOSS, metrics.DEV_ACCURACY)
        found.append(curves.loc[0].loc[EPOCHS].to_numpy())
    assert found[1] == pytest.approx(found[0], rel=2e-4)
