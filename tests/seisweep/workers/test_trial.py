"""What a trial hands to Tune: plain floats with an epoch, or one line that says why it failed."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from seisweep.workers.faults import DivergedError
from seisweep.workers.trial import Job, check_metrics, epoch_of, load, trial_log


def job(folder, **fields) -> Job:
    plain = {
        "trainable": "toy_trainable:train",
        "objectives": ("dev/f1",),
        "logs": str(folder),
        "storage": str(folder),
        "workers": 1,
        "cpus_per_worker": 1,
        "gpus_per_worker": 0,
        "relay": "",
    }
    return Job(**{**plain, **fields})


def test_metrics_become_plain_floats_and_keep_their_names():
    checked = check_metrics({"epoch": 3, "pid": torch.tensor(0.5), "dev/f1": 1}, ("dev/f1",), last_epoch=2)
    assert checked == {"epoch": 3.0, "pid": 0.5, "dev/f1": 1.0}
    assert all(type(value) is float for value in checked.values())


def test_epochs_are_counted_where_none_is_named():
    assert check_metrics({"score": 1}, ("score",), last_epoch=4)["epoch"] == 5


@pytest.mark.parametrize("name", ["dev/f1", "train/loss", "loss", "dev/loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_trial_says_what_and_when(name, value):
    with pytest.raises(DivergedError, match=f"{name} is {value} at epoch 2: the training diverged"):
        check_metrics({"epoch": 2, name: value}, ("dev/f1",), last_epoch=1)


def test_a_residual_without_picks_is_no_divergence():
    assert math.isnan(
        check_metrics({"epoch": 1, "dev/p_residual_mean_s": math.nan}, ("dev/f1",), 0)["dev/p_residual_mean_s"]
    )


def test_what_the_driver_could_not_configure_fails_in_the_trial(tmp_path):
    with pytest.raises(ValueError, match="alpha = 3 is not allowed"):
        load(job(tmp_path), {"config": {}, "error": "alpha = 3 is not allowed"})


def test_a_trial_logs_into_its_own_file(tmp_path):
    def train() -> None:
        with trial_log(job(tmp_path), {"trial": 7}):
            logging.getLogger("trainables.data").info("building the window store")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        train()
    text = (tmp_path / "trial-00007.log").read_text()
    assert "building the window store" in text
    assert "RuntimeError: boom" in text


def test_a_machine_without_the_sweeps_folder_trains_all_the_same(tmp_path):
    with trial_log(job(tmp_path / "elsewhere"), {"trial": 7}):
        logging.getLogger("trainables").warning("nobody keeps this")
    assert not (tmp_path / "elsewhere").exists()


def test_the_epoch_of_a_checkpoint(tmp_path):
    assert epoch_of(tmp_path) == 0
    (tmp_path / ".seisweep-epoch").write_text("12")
    assert epoch_of(tmp_path) == 12
