from __future__ import annotations

import pytest
import torch

from trainables.training.schedules import EpochCosine


def optimizer_of(rate: float = 0.4) -> torch.optim.Optimizer:
    return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(schedule: EpochCosine, num_epochs: int) -> list[float]:
    found = []
    for _ in range(num_epochs):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.after_step()
        schedule.after_epoch(0.5)
    return found


def test_the_cosine_begins_with_the_whole_rate_and_would_end_at_nothing():
    schedule = EpochCosine(optimizer_of(), 4)
    assert rates(schedule, 4) == pytest.approx([0.4, 0.3414, 0.2, 0.0586], abs=1e-4)
    assert schedule.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


def test_the_cosine_goes_on_where_a_checkpoint_left_it():
    whole = rates(EpochCosine(optimizer_of(), 6), 6)
    first = EpochCosine(optimizer_of(), 6)
    rates(first, 2)
    again = EpochCosine(optimizer_of(), 6)
    again.optimizer.load_state_dict(first.optimizer.state_dict())
    again.load_state_dict(first.state_dict())
    assert rates(again, 4) == pytest.approx(whole[2:])
