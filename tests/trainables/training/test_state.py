"""A checkpoint brings back what was learned and counted; settings are those of the configuration."""

from __future__ import annotations

import pytest
import torch

from trainables.models.xiaonet import XiaoNet
from trainables.training.config import TrainingConfig
from trainables.training.state import TrainingState, fresh_state

CPU = torch.device("cpu")


def state(**settings: float) -> TrainingState:
    return fresh_state(XiaoNet(base_channels=2), TrainingConfig.model_validate(settings))


def lowered_once(**settings: float) -> TrainingState:
    """Three epochs without improvement, one more than this patience: the rate was halved."""
    made = state(**settings)
    for value in (0.5, 0.4, 0.4):
        made.end_epoch({}, value)
    return made


@pytest.mark.parametrize(("configured", "expected"), [(1e-3, 5e-4), (1.2e-3, 6e-4)])
def test_the_rate_is_the_configured_one_as_often_lowered(tmp_path, configured, expected):
    folder = lowered_once(learning_rate=1e-3, lr_patience=1).save(tmp_path)
    loaded = state(learning_rate=configured, lr_patience=1)
    loaded.load(folder, CPU)
    assert loaded.optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
    assert loaded.save(tmp_path / "again")
    once_more = state(learning_rate=configured, lr_patience=1)
    once_more.load(tmp_path / "again", CPU)
    assert once_more.optimizer.param_groups[0]["lr"] == loaded.optimizer.param_groups[0]["lr"]


def test_the_schedule_keeps_its_counts_and_takes_new_settings(tmp_path):
    folder = lowered_once(lr_patience=1).save(tmp_path)
    loaded = state(lr_patience=1, lr_factor=0.1)
    loaded.load(folder, CPU)
    for value in (0.4, 0.4):
        loaded.end_epoch({}, value)
    assert loaded.optimizer.param_groups[0]["lr"] == pytest.approx(5e-5)
    assert loaded.epochs_done == 5


def test_along_a_cosine_all_epochs_run():
    state = fresh_state(XiaoNet(base_channels=2), TrainingConfig(schedule="cosine", epochs=20, patience=2))
    for _ in range(5):
        state.end_epoch({}, 0.0)
    assert not state.stopping.stop
    assert state.optimizer.param_groups[0]["lr"] < TrainingConfig().learning_rate
