from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from trainables.training.config import CosineTrainingConfig
from trainables.training.freezing import Freezing, FreezingConfig
from trainables.training.state import cosine_state

PARTS = {"encoder": ("encoder",), "backbone": ("backbone",)}


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(self.encoder(x)))


def train_epoch(model, freezing, optimizer, epoch, after_step=lambda: None):
    """Three steps; returns the top-level modules whose parameters moved, and those whose buffers did."""
    freezing.freeze(model, epoch)
    model.train()
    freezing.rest(model, epoch)
    before = copy.deepcopy(model.state_dict())
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
        after_step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {name.partition(".")[0] for name in moved if "running" in name}
    return {name.partition(".")[0] for name in moved if name.endswith(("weight", "bias"))}, statistics


@pytest.mark.parametrize(
    ("schedule", "learning"),
    [
        ("full", [{"encoder", "backbone", "head"}] * 4),
        ("frozen", [{"head"}] * 4),
        ("encoder", [{"backbone", "head"}] * 4),
        ("progressive", [{"head"}] * 2 + [{"encoder", "backbone", "head"}] * 2),
    ],
)
def test_exactly_what_the_schedule_names_learns_in_each_epoch(schedule, learning):
    model = Small()
    freezing = Freezing(FreezingConfig(schedule=schedule, unfreeze_at_epoch=3), PARTS)
    optimizer = torch.optim.AdamW(freezing.groups(model, 0.1, 0.1))
    for epoch, expected in enumerate(learning, start=1):
        moved, statistics = train_epoch(model, freezing, optimizer, epoch)
        assert moved == expected
        assert statistics == expected - {"head"}, "what rests keeps its running statistics"


def test_what_is_unfrozen_learns_at_its_multiple_of_the_scheduled_rate():
    model, config = Small(), CosineTrainingConfig(epochs=4, learning_rate=0.01)
    freezing = Freezing(FreezingConfig(schedule="progressive", unfreeze_at_epoch=3, unfrozen_lr_mult=0.25), PARTS)
    state = cosine_state(model, config, steps_per_epoch=3, freezing=freezing)
    unfrozen = {id(parameter) for part in (model.encoder, model.backbone) for parameter in part.parameters()}
    rates = []
    for epoch in range(1, 5):
        train_epoch(model, freezing, state.optimizer, epoch, state.schedule.after_step)
        rates.append([group["lr"] for group in state.optimizer.param_groups])
    for group in state.optimizer.param_groups:
        assert len({id(parameter) in unfrozen for parameter in group["params"]}) == 1
    late = [id(group["params"][0]) in unfrozen for group in state.optimizer.param_groups]
    assert sum(late) == 2, "decaying and not decaying parameters"
    for of_epoch in rates:
        free = {rate for rate, is_late in zip(of_epoch, late, strict=True) if not is_late}
        assert {rate for rate, is_late in zip(of_epoch, late, strict=True) if is_late} == {0.25 * free.pop()}
    assert rates[0][0] > rates[1][0] > rates[2][0] > rates[3][0] == pytest.approx(0, abs=1e-9)


def test_freezing_says_when_what_learns_has_changed():
    model = Small()
    freezing = Freezing(FreezingConfig(schedule="progressive", unfreeze_at_epoch=3), PARTS)
    assert [freezing.freeze(model, epoch) for epoch in (1, 2, 3, 4)] == [True, False, True, False]
    assert freezing.is_resting(2, "encoder", "backbone")
    assert not freezing.is_resting(3, "encoder")
    assert freezing.freeze(model, 2), "a resumed run may begin in an epoch in which parts rest"


def test_biases_and_norms_do_not_decay():
    model = Small()
    groups = Freezing(FreezingConfig(), PARTS).groups(model, 0.1, 0.3)
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert all(parameter.ndim == 2 for parameter in groups[0]["params"])
    assert all(parameter.ndim == 1 for parameter in groups[1]["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
