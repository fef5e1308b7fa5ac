"""Sweeps on three nodes, everything remote: MLflow on PostgreSQL and S3 behind a password, Ray with a token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from seisweep import load
from seisweep.settings.overrides import flatten

from cluster.cluster import Cluster
from cluster.sweeps import read_notes
from cluster.whole import whole_record
from search_spaces.named import objectives_of
from trainables import metrics

pytestmark = pytest.mark.integration
APART, TOGETHER = 1.5, 1.0
"""CPUs of each of two workers, of nodes that have two: on two nodes, or both on one. One thread either way."""
EPOCHS = [1, 2]


def test_a_sweep_over_three_nodes_leaves_its_whole_record(cluster: Cluster) -> None:
    user, profile = cluster.user(cluster.new_folder()), cluster.profile(cpus_per_worker=2)
    settings = ["training.epochs=3", "sleep_s=0.3"]
    command = ["seisweep", "run", "cluster.sweeps:toy", "--name", "three-nodes", "--samples", "6", *settings]
    done = cluster.head.run(*command, "--profile", profile, env=user)
    assert done.code == 0, done
    trials = whole_record(cluster, "three-nodes", samples=6, epochs=3)
    assert set(trials["machine"]) == {"head", "w1", "w2"}


def test_two_workers_on_two_nodes_give_the_losses_of_two_on_one(
    cluster: Cluster, earthquakes: Path, teacher_file: Path
) -> None:
    folder = cluster.new_folder("data")
    trained = {
        "distillation": ("cluster.sweeps:distil", distillation(cluster, folder, earthquakes, teacher_file)),
        "finetuning": ("cluster.sweeps:fine_tune", finetuning(cluster, folder)),
    }
    launches = [
        {
            "name": f"{kind}-{where}",
            "trainable": trainable,
            "base": dict(flatten(settings | {"notes": f"{folder}/{kind}-{where}"})),
            "objectives": objectives_of(kind),
            "profile": cluster.profile(runner="ray-train"),
            "changes": {"workers": 2, "cpus_per_worker": cpus},
        }
        for kind, (trainable, settings) in trained.items()
        for where, cpus in {"apart": APART, "together": TOGETHER}.items()
    ]
    cluster.head.path(f"{folder}/launches.json").write_text(json.dumps(launches))
    env = cluster.user(cluster.new_folder())
    done = cluster.head.run("python", "-m", "cluster.sweeps", f"{folder}/launches.json", env=env)
    assert done.code == 0, done
    assert done.stdout.count("finished ['']") == 4, done
    for kind in trained:
        ran_on = {
            where: {note["rank"]: note["machine"] for note in read_notes(cluster.head.path(f"{folder}/{kind}-{where}"))}
            for where in ("apart", "together")
        }
        assert len(set(ran_on["apart"].values())) == 2, ran_on
        assert len(set(ran_on["together"].values())) == 1, ran_on
        apart, together = (losses(cluster, f"{kind}-{where}") for where in ("apart", "together"))
        assert apart == pytest.approx(together, abs=1e-6)


def losses(cluster: Cluster, name: str) -> list[float]:
    with cluster.from_laptop():
        curves = load(name, cluster.tracking_uri).curves(metrics.TRAIN_LOSS, metrics.DEV_LOSS)
        return curves.loc[0].loc[EPOCHS].to_numpy().ravel().tolist()


def distillation(cluster: Cluster, folder: str, earthquakes: Path, teacher_file: Path) -> dict[str, Any]:
    """Group normalisation, no dropout, full precision: nothing in a step depends on how the batch is cut."""
    here = cluster.head.path(folder)
    shutil.copytree(earthquakes, here / "earthquakes")
    shutil.copytree(teacher_file.parent, here / "teacher")
    return {
        "data": {"dataset": f"{folder}/earthquakes", "dev_windows_per_trace": 2},
        "teacher": {"weights": f"{folder}/teacher/{teacher_file.name}"},
        "student": {"base_channels": 4, "pooling": 4, "norm": "group", "dropout": 0.0},
        "training": {"epochs": len(EPOCHS), "steps_per_epoch": 3, "batch_size": 8, "precision": "fp32"},
        "export": {"enabled": False},
    }


def finetuning(cluster: Cluster, folder: str) -> dict[str, Any]:
    """The encoder thaws in epoch 2."""
    from trainables.data.synthetic_sequence import write_synthetic_sequence
    from trainables.models.pretrained import save_encoder
    from trainables.models.representation import Representation
    from trainables.models.representation_config import cpu_sized

    here = cluster.head.path(folder)
    small = cpu_sized(d_model=8, conv_width=8, qkv_proj_blocksize=2)
    write_synthetic_sequence(here / "nrca", num_events=200)
    save_encoder(Representation(small), here / "encoder.pt")
    return {
        "data": {"dataset": f"{folder}/nrca", "num_classes": 2},
        "model": small.model_dump(exclude_unset=True) | {"pretrained": f"{folder}/encoder.pt"},
        "head": {"dropout": 0.0},
        "freezing": {"schedule": "progressive", "unfreeze_at_epoch": 2},
        "training": {"epochs": len(EPOCHS), "batch_size": 8, "limit_train_batches": 3, "precision": "fp32"},
    }
