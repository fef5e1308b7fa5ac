"""The two terms of a picker's loss, on logits: `distillation.py` weighs them with alpha, `picking.py` takes one."""

# B batch, C class (P, S, noise), T time sample

from __future__ import annotations

from torch import Tensor


def soft_cross_entropy(logits_BCT: Tensor, labels_BCT: Tensor) -> Tensor:
    """Cross-entropy against soft labels: mean over batch of sum over classes of mean over time of -y log p.

    With y a probability over classes this is the mean over batch and time, whatever the window's length.
    """
    return -(labels_BCT * logits_BCT.log_softmax(dim=1)).sum(dim=1).mean()


def softened_divergence(student_BCT: Tensor, teacher_BCT: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher/T) || softmax(student/T)), mean over batch and time (Hinton et al. 2015, eq. 4).

    The factor T^2 keeps the gradient's size as the temperature changes.
    """
    teacher_log_BCT = (teacher_BCT / temperature).log_softmax(dim=1)
    student_log_BCT = (student_BCT / temperature).log_softmax(dim=1)
    divergence_BT = (teacher_log_BCT.exp() * (teacher_log_BCT - student_log_BCT)).sum(dim=1)
    return temperature**2 * divergence_BT.mean()
