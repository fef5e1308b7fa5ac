"""A step over k batches of B / k windows is the step over one batch of B."""

from __future__ import annotations

import numpy as np
import pytest

from trainables import metrics
from trainables.distillation import DistillationConfig, train
from trainables.run import LocalRun


def losses(folder, tiny, **training) -> np.ndarray:
    config = {**tiny, "training": tiny["training"] | {"precision": "fp32"} | training}
    config["student"] = tiny["student"] | {"norm": "group", "dropout": 0.0}
    run = LocalRun(folder)
    train(DistillationConfig.model_validate(config), run)
    names = (metrics.TRAIN_LOSS, metrics.TASK_LOSS, metrics.DISTILL_LOSS, metrics.DEV_LOSS)
    return np.array([[report[name] for name in names] for report in run.reports if not report[metrics.FINAL]])


@pytest.mark.parametrize("accumulation", [2, 8])
def test_the_same_losses_with_smaller_batches(tmp_path, tiny, accumulation):
    whole = losses(tmp_path / "whole", tiny, batch_size=8)
    parts = losses(tmp_path / "parts", tiny, batch_size=8 // accumulation, accumulation=accumulation)
    assert parts.shape == (3, 4)
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    assert abs(whole[1] - whole[0]).min() > 1e-3, "the losses move, so that equal ones say something"
