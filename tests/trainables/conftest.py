"""A small data set, a teacher and settings for trainings of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from seisbench.models import PhaseNet

from trainables.data.synthetic import write_local_earthquakes


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def earthquakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small synthetic data set in SeisBench's format."""
    folder = tmp_path_factory.mktemp("data") / "earthquakes"
    write_local_earthquakes(folder, num_events=12, seed=0)
    return folder


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stem of a saved PhaseNet with random weights, component order Z, N, E and classes N, P, S."""
    torch.manual_seed(0)
    stem = tmp_path_factory.mktemp("teacher") / "phasenet"
    PhaseNet(phases="NPS", component_order="ZNE", norm="std").save(stem, version_str="1")
    return stem


@pytest.fixture
def tiny(earthquakes: Path, teacher_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a distillation of three short epochs; `tiny | {...}` changes them."""
    return {
        "data": {
            "dataset": str(earthquakes),
            "dev_windows_per_trace": 2,
            "cache_dir": str(tmp_path_factory.getbasetemp() / "cache"),
        },
        "teacher": {"weights": str(teacher_file)},
        "student": {"base_channels": 4, "pooling": 4},
        "training": {"epochs": 3, "steps_per_epoch": 3, "batch_size": 8},
        "export": {"enabled": False},
    }
