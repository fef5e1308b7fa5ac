"""The tutorial docs/tutorials/from-picks-to-a-picker.md, run as it is written, on real waveforms."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import seisbench.data as sbd
from seisweep.results import load
from seisweep.settings.home import Home

from trainables.data.catalog import quiet_seisbench

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]
TUTORIAL = REPOSITORY / "docs/tutorials/from-picks-to-a-picker.md"


def commands() -> list[str]:
    """Lines of the first block, which has no language."""
    block = re.search(r"^```\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.fixture
def folder(shared_data: Path, tmp_path: Path) -> Path:
    """Two stations, an hour of two days each; a teacher; and `seisweep` on the path."""
    (tmp_path / "waveforms").mkdir()
    for file in (shared_data / "real_data/continuous/iquique_cx").glob("*T02.mseed"):
        shutil.copy(file, tmp_path / "waveforms")
    for suffix in ("json.v1", "pt.v1"):
        shutil.copy(shared_data / f"real_data/teachers/teacher_pn_original.{suffix}", tmp_path / f"teacher.{suffix}")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/seisweep"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m seisweep.cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


def test_three_commands_make_a_picker_out_of_continuous_waveforms(folder):
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SEISWEEP_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    for command in commands():
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
    assert len(commands()) == 3
    with quiet_seisbench():
        dataset = sbd.WaveformDataset(folder / "quakes")
    assert set(dataset.metadata["split"]) == {"train", "dev", "test"}
    assert dataset.metadata["trace_P_arrival_sample"].notna().sum() > 20
    trials = load("distillation-1", Home(folder / "home").mlflow_uri).trials
    ends = (["done", "done"], ["done", "stopped"])  # the weaker one may be stopped after an epoch
    assert sorted(trials["state"]) in ends
