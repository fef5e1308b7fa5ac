from __future__ import annotations

import logging

import torch

from trainables.models.xiaonet import XiaoNet
from trainables.training.config import TrainingConfig
from trainables.training.picker import note_hints, seed_epoch
from trainables.training.state import fresh_state


def test_a_hint_is_logged_once_and_its_latest_numbers_are_kept(caplog):
    state = fresh_state(XiaoNet(base_channels=2), TrainingConfig())
    with caplog.at_level(logging.INFO, "trainables"):
        note_hints(state, ["dev loss 0.4 far over task loss 0.2: overfitting; raise dropout"])
        note_hints(state, ["dev loss 0.5 far over task loss 0.2: overfitting; raise dropout"])
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
