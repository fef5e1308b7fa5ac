"""Programs that stand in for others: what a script of docker/ calls is written down, and answers as a test says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Programs:
    """A folder of programs before all others, and the environment that scripts get."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        """Programs that were called, with their words."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def write(self, name: str, body: str = "") -> None:
        """A program that writes its call down and then does what a line of bash says."""
        place = self.folder / "bin" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.folder}/calls"\n{body}\n')
        place.chmod(place.stat().st_mode | stat.S_IXUSR)

    def environment(self, **variables: str) -> dict[str, str]:
        path = [str(self.folder / "bin"), f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
        return {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "OMP_NUM_THREADS": "1",
            **variables,
        }

    def begin(self, *words: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
        pipe, given = subprocess.PIPE, self.environment(**env)
        return subprocess.Popen(words, env=given, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, **env: str) -> tuple[int, str]:
        """Exit code and standard error."""
        begun = self.begin(*words, env=env)
        _, said = begun.communicate(timeout=60)
        return begun.returncode, said


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


@pytest.fixture(scope="session")
def docker_folder() -> Path:
    return REPOSITORY / "docker"
