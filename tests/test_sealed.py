"""No training, calibration, check or evaluation reads the test split: with nothing in it to read, all of them work."""

from __future__ import annotations

import ast
import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from seisweep.cli import run

from trainables import distillation, finetuning, picking, pretraining
from trainables.data.catalog import load_dataset
from trainables.data.sequence import open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import split_sequence
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.run import ARTIFACTS, LocalRun

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = {"d_model": 8, "n_layers": 1, "num_heads": 2, "conv_width": 8, "conv_layers": 4, "qkv_proj_blocksize": 2}


@pytest.fixture(scope="module")
def sealed(earthquakes, tmp_path_factory) -> Path:
    """Earthquakes whose test records cannot be read: no trace has the names that the metadata give them."""
    folder = tmp_path_factory.mktemp("sealed") / "earthquakes"
    shutil.copytree(earthquakes, folder)
    metadata = pd.read_csv(folder / "metadata.csv", low_memory=False)
    is_test = metadata["split"] == "test"
    assert is_test.any()
    metadata.loc[is_test, "trace_name"] = "sealed"
    metadata.to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(KeyError, match="sealed"):
        load_dataset(str(folder)).get_sample(int(np.flatnonzero(is_test)[0]))
    return folder


@pytest.fixture(scope="module")
def sealed_sequence(tmp_path_factory) -> Path:
    """A sequence whose test records are NaN, which would be in every number that they are part of."""
    folder = tmp_path_factory.mktemp("sealed") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    rows = split_sequence(open_sequence(str(folder)), SequenceDataConfig(dataset=str(folder), num_classes=2))
    with h5py.File(folder / "waveforms.hdf5", "r+") as file:
        for trace in rows["test"].trace_R:
            file["data/bucket0"][trace] = np.nan
    return folder


def train(trainable, config, folder) -> LocalRun:
    done = LocalRun(folder)
    trainable.preflight(config)
    trainable.train(config, done)
    assert all(math.isfinite(value) for report in done.reports for value in report.values())
    return done


def test_pickers(sealed, tiny, tmp_path, home, capsys):
    data = {"dataset": str(sealed), "cache_dir": str(tmp_path / "cache"), "dev_windows_per_trace": 1}
    small = {"training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4}, "export": {"calibration_windows": 4}}
    student = train(
        distillation,
        distillation.DistillationConfig.model_validate(tiny | small | {"data": data}),
        tmp_path / "student",
    )
    train(picking, picking.PickingConfig.model_validate(small | {"data": data}), tmp_path / "teacher")
    assert run(["evaluate", str(student.checkpoint / ARTIFACTS), f"data.dataset={sealed}"]) == 0
    words = ["--task", "onset-time", f"data.dataset={sealed}"]
    assert run(["evaluate", str(student.checkpoint / ARTIFACTS), *words]) == 0
    assert capsys.readouterr().out.count("both") == 3  # PyTorch, FP32, INT8
    assert run(["data", "info", str(sealed)]) == 0
    pretrain = {
        "data": {"dataset": str(sealed), "window_samples": 2048, "cache_dir": str(tmp_path / "cache")},
        "model": TINY,
        "contrast": {"groups": 2, "codes": 16, "code_width": 16, "negatives": 10, "mask_length": 4},
        "training": {"epochs": 1, "batch_size": 4, "limit_train_batches": 2},
    }
    train(pretraining, pretraining.PretrainingConfig.model_validate(pretrain), tmp_path / "encoder")


def test_classifiers(sealed_sequence, tmp_path):
    settings = {
        "data": {"dataset": str(sealed_sequence), "num_classes": 2},
        "model": TINY,
        "training": {"epochs": 1, "batch_size": 8, "limit_train_batches": 2},
    }
    train(finetuning, finetuning.FinetuningConfig.model_validate(settings), tmp_path)


def test_one_place_makes_openings_and_one_uses_them():
    """`Opening(...)` is called where it is written down; who reads with one is promotion."""
    made, used = set(), set()
    for room in ("trainables", "search_spaces", "platform"):
        for file in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Opening":
                    made.add(file.relative_to(REPOSITORY).as_posix())
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "opened":
                    used.add(file.relative_to(REPOSITORY).as_posix())
    assert made == {"platform/seisweep/promotion/openings.py"}
    assert used == {"platform/seisweep/promotion/promote.py"}
