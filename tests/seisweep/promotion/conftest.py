"""A student that was trained, and sweeps of such."""

from __future__ import annotations

import shutil

import pytest
from promotable import record
from seisweep.record import tags
from seisweep.settings.home import Home

from trainables import distillation
from trainables.export.artifacts import INT8_FILE, REFUSED_FILE
from trainables.run import ARTIFACTS, LocalRun


@pytest.fixture(scope="package")
def student(earthquakes, teacher_file, tmp_path_factory) -> tuple[distillation.DistillationConfig, LocalRun]:
    folder = tmp_path_factory.mktemp("student")
    settings = {
        "data": {"dataset": str(earthquakes), "cache_dir": str(folder / "cache"), "dev_windows_per_trace": 2},
        "teacher": {"weights": str(teacher_file)},
        "student": {"base_channels": 8, "pooling": 4},
        "training": {"epochs": 1, "steps_per_epoch": 10, "batch_size": 8, "learning_rate": 0.005},
        "export": {"calibration_windows": 8, "max_f1_loss": 1.0},
        "loss": {"alpha": 0.0},
    }
    config = distillation.DistillationConfig.model_validate(settings)
    done = LocalRun(folder / "run")
    distillation.train(config, done)
    return config, done


@pytest.fixture(scope="package")
def recorded(student, empty_store, tmp_path_factory) -> Home:
    """A store with a sweep of pickers: the best, one whose INT8 was refused, one stopped early, one failed."""
    from search_spaces.sweep import single_run

    config, done = student
    home = Home(tmp_path_factory.mktemp("recorded") / "home").prepare()
    shutil.copy(empty_store, home.database)
    home.settle()
    refused = home.root / "refused"
    shutil.copytree(done.checkpoint, refused)
    (refused / ARTIFACTS / INT8_FILE).rename(refused / ARTIFACTS / REFUSED_FILE)
    (refused / "tags.json").write_text('{"gate": "refused: No convolution runs in INT8."}')
    plain, found = config.model_dump(mode="json"), done.reports[-1]
    facts = {**distillation.preflight(config), tags.VERSIONS: "torch 2", tags.GIT_COMMIT: "0123abc"}
    trials = [
        ("done", done.checkpoint, plain, found),
        ("done", refused, plain, {**found, "dev/f1": -1.0}),
        ("stopped", None, plain, {"epoch": 1, "dev/f1": 0.99}),
        ("failed", None, plain, {"epoch": 1, "dev/f1": 0.99}),
    ]
    record(home, single_run("distillation", {}, {"dev/f1": "max"}), "picker", facts, trials)
    encoder = [("done", done.checkpoint, {}, {"epoch": 1, "dev/loss": 0.1})]
    record(home, single_run("pretraining", {}, {"dev/loss": "min"}), "encoder", {}, encoder)
    nothing = [("stopped", None, plain, {"epoch": 1, "dev/f1": 0.99})]
    record(home, single_run("distillation", {}, {"dev/f1": "max"}), "unfinished", facts, nothing)
    return home


@pytest.fixture
def own(recorded, home) -> Home:
    """A copy of that store, in the home of the environment."""
    shutil.copytree(recorded.root, home)
    copied = Home.find()
    copied.settle()  # else the first command that writes would say where it lay
    return copied
