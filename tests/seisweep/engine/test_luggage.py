"""What travels to the processes of trials."""

from __future__ import annotations

import os

import pytest
from seisweep.engine.luggage import for_trials
from seisweep.quiet import ENVIRONMENT
from seisweep.settings.profile import Profile


def test_trials_get_what_the_profile_carries_packages_and_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3:9000")
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.delenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    profile = Profile(carry=("AWS_ENDPOINT_URL", "NOT_SET"), pip=("einops",), working_dir="code")
    sent = for_trials(profile)
    assert (sent["pip"], sent["working_dir"]) == (["einops"], str(tmp_path / "code"))
    assert set(sent["env_vars"]) == {*ENVIRONMENT, "AWS_ENDPOINT_URL"}
    assert os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] == "1"  # or Ray refuses what the driver's own job says too


def test_a_variable_that_the_user_has_set_is_the_same_for_trials(monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "5")
    assert for_trials(Profile())["env_vars"]["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] == "5"


def test_a_folder_that_is_not_there_is_one_line():
    with pytest.raises(ValueError, match=r"working_dir = /no/such of profile local: /no/such is not a folder here"):
        for_trials(Profile(working_dir="/no/such"))
