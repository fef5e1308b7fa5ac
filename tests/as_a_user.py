"""The command line in a process of its own, in a folder with a home beside it, as a user would type it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def seisweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEISWEEP_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-m", "seisweep.cli", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
