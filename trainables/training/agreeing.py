"""A student and its teacher on the dev hours of continuous waveforms that the student learned from."""

# B window, C class

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from trainables.data.batches import Batch, heard
from trainables.data.stream_batches import open_stream_dev
from trainables.evaluation.agreement import Agreement, agree
from trainables.models.teacher import Teacher, TeacherEnsemble, for_student, samples_around
from trainables.training.picker import EVALUATION_BATCH, PickerTask


@torch.no_grad()
def agree_on_streams(
    model: nn.Module,
    task: PickerTask,
    thresholds: Mapping[str, float],
    teacher: Teacher | TeacherEnsemble,
    second: Teacher | None = None,
) -> Agreement:
    """Hold the student of a task, at its thresholds, against what its teacher picks there; with a `second` teacher,
    who has not taught, against what both pick."""
    interface, config = task.interface, task.config
    around = 0 if second is None else samples_around(second, interface)
    windows = open_stream_dev(config.data, teacher, interface.windowing(around), task.run.device)
    other = None if second is None else for_student(second, interface).to(task.run.device)
    model.eval()

    def student(batch: Batch) -> np.ndarray:
        return interface.probabilities(task.logits(model, batch).float()).cpu().numpy()

    def second_says(batch: Batch) -> np.ndarray:
        assert other is not None
        return interface.probabilities(other(heard(batch)).float()).cpu().numpy()

    return agree(
        student,
        windows,
        thresholds,
        config.picks,
        EVALUATION_BATCH,
        second=second_says if other is not None else None,
        second_threshold=config.data.streams_threshold,
    )
