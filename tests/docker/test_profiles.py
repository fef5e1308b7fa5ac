"""The profiles beside the files of docker/ are profiles."""

from __future__ import annotations

import pytest
from seisweep.settings.profile import load_profile


@pytest.mark.parametrize("file", ["compose.toml", "kubernetes/base/kubernetes.toml", "slurm/slurm.toml"])
def test_a_profile_is_read_and_runs_on_the_ray_that_is_there(docker_folder, monkeypatch, file):
    monkeypatch.delenv("SEISWEEP_STORAGE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    profile = load_profile(str(docker_folder / file))
    assert profile.ray_address == "auto"
    assert profile.storage_path is None  # the home
    assert profile.tracking_uri == (None if profile.name == "slurm" else "http://mlflow:5000")
