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
from trainables.evaluation.event_scores import Probabilities
from trainables.models.interface import Interface
from trainables.models.teacher import Teacher, TeacherEnsemble, for_student, samples_around
from trainables.training.picker import EVALUATION_BATCH, PickerTask


def second_opinion(
    second: Teacher | None, student: Interface, device: torch.device | str = "cpu"
) -> tuple[Probabilities | None, int]:
    """What a second teacher, who has not taught, answers for windows of the student, and how many samples it listens to
    on either side of them; None and 0 where there is none."""
    if second is None:
        return None, 0
    asked = for_student(second, student).to(device)

    @torch.no_grad()
    def answers(batch: Batch) -> np.ndarray:
        return student.probabilities(asked(heard(batch)).float()).cpu().numpy()

    return answers, samples_around(second, student)


@torch.no_grad()
def agree_on_streams(
    model: nn.Module,
    task: PickerTask,
    thresholds: Mapping[str, float],
    teacher: Teacher | TeacherEnsemble,
    second: Teacher | None = None,
) -> Agreement:
    """Hold the student of a task, at its thresholds, against what its teacher picks there; with a `second` teacher
    against what both pick."""
    interface, config = task.interface, task.config
    second_says, around = second_opinion(second, interface, task.run.device)
    windows = open_stream_dev(config.data, teacher, interface.windowing(around), task.run.device)
    model.eval()

    def student(batch: Batch) -> np.ndarray:
        return interface.probabilities(task.logits(model, batch).float()).cpu().numpy()

    threshold = config.data.streams_threshold
    return agree(student, windows, thresholds, config.picks, EVALUATION_BATCH, second_says, threshold)
