"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real records, teachers and continuous data (`SEISWEEP_SHARED_DATA`, default ../shared)."""
    folder = Path(os.environ.get("SEISWEEP_SHARED_DATA", REPOSITORY.parent / "shared")).resolve()
    if not (folder / "real_data").is_dir():
        pytest.skip(f"no real data at {folder}: set SEISWEEP_SHARED_DATA")
    return folder
