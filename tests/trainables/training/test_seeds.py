"""What chance decides can be varied one by one; by default one seed decides all of it."""

from __future__ import annotations

import pytest
import torch

from trainables import metrics
from trainables.distillation import DistillationConfig, build_taught, train
from trainables.picking import PickingConfig
from trainables.picking import train as train_picker
from trainables.run import LocalRun
from trainables.training.loop import seeded


@pytest.fixture
def losses(tiny, tmp_path):
    """Loss and dev loss of each epoch, with these seeds."""

    def of(train=train, kind=DistillationConfig, **seeds):
        student = tiny["student"] | {"dropout": 0.2}
        both = tiny | {"model": {"architecture": "xiaonet"}}
        given = {key: value for key, value in both.items() if key in kind.model_fields}
        run = LocalRun(tmp_path / f"{kind.__name__} {seeds}")
        train(kind.model_validate(given | {"student": student, "seeds": seeds}), run)
        assert len(run.reports) == 4
        return [(report[metrics.TRAIN_LOSS], report[metrics.DEV_LOSS]) for report in run.reports[:3]]

    return of


def test_every_source_alone_makes_a_difference_and_the_same_seed_none(losses):
    as_before = losses()
    assert losses(weights=0, windows=0, dropout=0) == as_before
    for source in ("weights", "order", "windows", "dropout"):
        assert losses(**{source: 5}) != as_before, source


def test_a_picker_has_the_same_sources(losses):
    as_before = losses(train_picker, PickingConfig)
    assert losses(train_picker, PickingConfig, weights=0, windows=0, dropout=0) == as_before
    assert losses(train_picker, PickingConfig, dropout=5) != as_before


def test_fresh_weights_follow_their_own_seed_alone(tiny, tmp_path):
    def fresh(seed: int, **seeds) -> torch.Tensor:
        config = DistillationConfig.model_validate(tiny | {"seed": seed, "seeds": seeds})
        run = LocalRun(tmp_path)
        return seeded(lambda: build_taught(config), config.seed_of("weights"), run).head.weight

    assert torch.equal(fresh(3), fresh(0, weights=3))
    assert torch.equal(fresh(1, weights=3), fresh(2, weights=3, windows=4, order=5, dropout=6))
    assert not torch.equal(fresh(3), fresh(4))
