from __future__ import annotations

import logging

import pytest
import torch

from trainables.models.xiaonet import XiaoNet
from trainables.picking import PickingConfig
from trainables.run import LocalRun
from trainables.training.config import TrainingConfig
from trainables.training.loop import note_hints, seed_epoch
from trainables.training.picker import start
from trainables.training.state import fresh_state


def test_a_hint_is_logged_once_and_its_latest_numbers_are_kept(caplog):
    state = fresh_state(XiaoNet(base_channels=2), TrainingConfig())
    with caplog.at_level(logging.INFO, "trainables"):
        note_hints(state, ["dev loss 0.4 far above task loss 0.2: overfitting; raise dropout"])
        note_hints(state, ["dev loss 0.5 far above task loss 0.2: overfitting; raise dropout"])
    assert len(caplog.records) == 1
    assert state.tags["hints"].startswith("dev loss 0.5")
    note_hints(state, [])
    assert "hints" not in state.tags


def test_random_numbers_are_keyed_by_seed_epoch_and_worker():
    def draw(*key: int) -> float:
        seed_epoch(*key)
        return torch.rand(1).item()

    assert draw(0, 1, 0) == draw(0, 1, 0)
    assert len({draw(0, 1, 0), draw(1, 1, 0), draw(0, 2, 0), draw(0, 1, 1)}) == 4


def test_a_batch_that_workers_cannot_share_is_refused(tiny, tmp_path):
    config = PickingConfig.model_validate({key: value for key, value in tiny.items() if key != "teacher"})
    run = LocalRun(tmp_path, world_size=3)
    with pytest.raises(ValueError, match=r"^training\.batch_size = 8 cannot be shared by 3 workers"):
        start(lambda: XiaoNet(base_channels=2), config, run)
