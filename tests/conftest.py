"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real records, teachers and continuous data (`SEISWEEP_SHARED_DATA`, default ../shared).

    Skips where it is absent; with `SEISWEEP_REQUIRE_SHARED_DATA=1` that is a failure.
    """
    folder = Path(os.environ.get("SEISWEEP_SHARED_DATA", REPOSITORY.parent / "shared")).resolve()
    if not (folder / "real_data").is_dir():
        message = f"no real data at {folder}: set SEISWEEP_SHARED_DATA"
        if os.environ.get("SEISWEEP_REQUIRE_SHARED_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, not created yet, and a current folder without anything in it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SEISWEEP_HOME", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder
