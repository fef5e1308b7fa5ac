"""A home with a recorded sweep, and the archive of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from archived import LOCAL, describe, silent
from seisweep.archive.packing import pack
from seisweep.settings.home import Home


@pytest.fixture
def source(recorded: Home, tmp_path: Path) -> Home:
    """A home of the test's own with `many-1`, whose folder says what it is and holds a checkpoint."""
    home = Home(tmp_path / "source")
    shutil.copytree(recorded.root, home.root)
    home.settle()
    folder = home.sweep_dir("many-1")
    kept = folder / "tune" / "session-001" / "trial-00000" / "checkpoint_000000"
    kept.mkdir(parents=True)
    (kept / "state.json").write_text("{}")
    (folder / "tune" / "session-001" / "experiment_state.json").write_text("Ray's own")
    (folder / "driver.lock").touch()
    describe(home)
    return home


@pytest.fixture
def archive(source: Home, tmp_path: Path) -> Path:
    file = tmp_path / "many-1.tar.gz"
    pack("many-1", file, source, LOCAL, silent)
    return file
