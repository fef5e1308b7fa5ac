"""Sweeps on three nodes, everything remote: MLflow on PostgreSQL and S3 behind a password, Ray with a token."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from gloo_workers import train_together

from cluster.cluster import Cluster
from cluster.trainings import Both, both, read_notes, settings_as_words
from cluster.whole import whole_record
from trainables import metrics
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.models.pretrained import save_encoder
from trainables.models.representation import Representation
from trainables.models.representation_config import RepresentationConfig, cpu_sized
from trainables.run import LocalRun

pytestmark = pytest.mark.integration
APART = 1.5
"""CPUs of each of two workers, of nodes that have two: they cannot be on one. Each computes in one thread."""
EPOCHS = 2


def test_a_sweep_over_three_nodes_leaves_its_whole_record(cluster: Cluster) -> None:
    user, profile = cluster.user(cluster.new_folder()), cluster.profile(cpus_per_worker=2)
    settings = ["training.epochs=3", f"meeting={cluster.new_folder('meeting')}"]
    command = ["seisweep", "run", "cluster.sweeps:meeting", "--name", "three-nodes", "--samples", "6", *settings]
    done = cluster.head.run(*command, "--profile", profile, env=user)
    assert done.code == 0, done
    trials = whole_record(cluster, "three-nodes", samples=6, epochs=3)
    assert set(trials["machine"]) == {"head", "w1", "w2"}


def test_two_workers_on_two_nodes_give_the_losses_of_two_on_one_and_of_one_alone(
    cluster: Cluster, earthquakes: Path, teacher_file: Path
) -> None:
    """Of a distillation and of a fine-tuning; two on one, and one with the joint batch, are this machine's, without any
    engine."""
    folder = cluster.new_folder("data")
    here = cluster.head.path(folder)
    shutil.copytree(earthquakes, here / "earthquakes")
    shutil.copytree(teacher_file.parent, here / "teacher")
    write_sequence(here)
    command = ["seisweep", "train", "cluster.trainings:both", "--name", "both", "--workers", "2", "--cpus", str(APART)]
    words = settings_as_words(settings(folder, teacher_file.name))
    env = cluster.user(cluster.new_folder())
    done = cluster.head.run(*command, "--profile", cluster.profile(runner="ray-train"), *words, env=env)
    assert done.code == 0, done
    apart = read_notes(here / "notes")
    assert len({note["machine"] for note in apart}) == 2, apart

    on_this = Both.model_validate(settings(str(here), teacher_file.name) | {"notes": here / "together"})
    train_together(both, on_this, here / "on-one")
    both(on_this.model_copy(update={"notes": here / "alone"}), LocalRun(here / "of-one"))
    together, alone = (losses(read_notes(here / notes)) for notes in ("together", "alone"))
    assert len(together) == 2 * 2 * EPOCHS
    assert losses(apart) == pytest.approx(together, abs=1e-6)
    assert losses(apart) == pytest.approx(alone, abs=1e-6)


def losses(notes: list[dict[str, Any]]) -> dict[tuple[str, int, str], float]:
    """By what was trained, epoch and metric."""
    names = (metrics.TRAIN_LOSS, metrics.DEV_LOSS)
    own = [note for note in notes if note["rank"] == 0 and not note["final"]]
    return {(note["what"], int(note["epoch"]), name): note[name] for note in own for name in names}


def settings(folder: str, teacher: str) -> dict[str, Any]:
    """Group normalisation, no dropout, full precision: nothing in a step depends on how the batch is cut. The encoder
    of the fine-tuning thaws in epoch 2."""
    training = {"epochs": EPOCHS, "batch_size": 8, "precision": "fp32"}
    return {
        "distillation": {
            "data": {"dataset": f"{folder}/earthquakes", "dev_windows_per_trace": 2, "cache_dir": f"{folder}/cache"},
            "teacher": {"weights": f"{folder}/teacher/{teacher}"},
            "student": {"base_channels": 4, "pooling": 4, "norm": "group", "dropout": 0.0},
            "training": {**training, "steps_per_epoch": 3},
            "export": {"enabled": False},
        },
        "finetuning": {
            "data": {"dataset": f"{folder}/nrca", "num_classes": 2},
            "model": small_model().model_dump(exclude_unset=True) | {"pretrained": f"{folder}/encoder.pt"},
            "head": {"dropout": 0.0},
            "freezing": {"schedule": "progressive", "unfreeze_at_epoch": 2},
            "training": {**training, "limit_train_batches": 3},
        },
        "notes": f"{folder}/notes",
    }


def small_model() -> RepresentationConfig:
    return cpu_sized(d_model=8, conv_width=8, qkv_proj_blocksize=2)


def write_sequence(folder: Path) -> None:
    """A foreshock/aftershock sequence and an encoder for it."""
    write_synthetic_sequence(folder / "nrca", num_events=200)
    save_encoder(Representation(small_model()), folder / "encoder.pt")
