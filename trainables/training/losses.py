"""The two terms of a picker's loss, on logits: `distillation.py` weighs them with alpha, `picking.py` takes one.

Each has a form for classes that share a probability of 1 and one for curves of their own.
"""

# B batch, C class (P, S, noise) or curve (P, S, detection), T time sample

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.batches import Batch
from trainables.models.interface import DETECTION, Interface

CURVE_WEIGHTS = {"P": 0.40, "S": 0.55, DETECTION: 0.05}
"""Of the curves in the loss (Mousavi et al. 2020)."""


def soft_cross_entropy(logits_BCT: Tensor, labels_BCT: Tensor) -> Tensor:
    """Cross-entropy against soft labels: mean over batch of sum over classes of mean over time of -y log p.

    With y a probability over classes this is the mean over batch and time, whatever the window's length.
    """
    return -(labels_BCT * logits_BCT.log_softmax(dim=1)).sum(dim=1).mean()


def softened_divergence(
    student_BCT: Tensor, teacher_BCT: Tensor, temperature: float, weight_B: Tensor | None = None
) -> Tensor:
    """T^2 KL(softmax(teacher/T) || softmax(student/T)), mean over batch and time (Hinton et al. 2015, eq. 4).

    The factor T^2 keeps the gradient's size as the temperature changes. `weight_B` multiplies that of each window.
    """
    teacher_log_BCT = (teacher_BCT / temperature).log_softmax(dim=1)
    student_log_BCT = (student_BCT / temperature).log_softmax(dim=1)
    divergence_BT = (teacher_log_BCT.exp() * (teacher_log_BCT - student_log_BCT)).sum(dim=1)
    return temperature**2 * _weighted(divergence_BT, weight_B).mean()


def _weighted(loss_BT: Tensor, weight_B: Tensor | None) -> Tensor:
    return loss_BT if weight_B is None else loss_BT * weight_B[:, None]


def task_loss(logits_BCT: Tensor, batch: Batch, interface: Interface) -> Tensor:
    """The loss on labels of a network with this interface."""
    if interface.is_distribution:
        if batch.labelled_BP is None:
            return soft_cross_entropy(logits_BCT, batch.labels_BCT)
        return known_cross_entropy(logits_BCT, batch.labels_BCT, batch.labelled_BP)
    curves = [batch.labels_BCT[:, 0], batch.labels_BCT[:, 1]]
    if DETECTION in interface.classes:
        assert batch.detection_BT is not None, "batches without the label of a detection"
        curves.append(batch.detection_BT)
    return curves_cross_entropy(logits_BCT, torch.stack(curves, dim=1), interface.classes, batch.labelled_BP)


def known_cross_entropy(logits_BCT: Tensor, labels_BCT: Tensor, labelled_BP: Tensor) -> Tensor:
    """The soft cross-entropy of what is known, mean over batch and time.

    Where S is not labelled it is one class with noise: -y_P log p_P - (1 - y_P) log(p_S + p_N), but not before the
    window's first P, where no S can be. P alike, but not after the last S. Where neither is labelled, nothing is known,
    and the loss is 0.
    """
    log_BCT = logits_BCT.log_softmax(dim=1)
    p_BT, s_BT, noise_BT = log_BCT.unbind(dim=1)
    whole_BT = -(labels_BCT * log_BCT).sum(dim=1)
    alone_BT = [
        -(y_BT * its_BT + (1 - y_BT) * torch.logaddexp(other_BT, noise_BT))
        for y_BT, its_BT, other_BT in ((labels_BCT[:, 0], p_BT, s_BT), (labels_BCT[:, 1], s_BT, p_BT))
    ]
    has_p_B1, has_s_B1 = labelled_BP[:, :1], labelled_BP[:, 1:]
    one_BT = torch.where(has_p_B1, alone_BT[0], torch.where(has_s_B1, alone_BT[1], torch.zeros_like(whole_BT)))
    before_p_BT = has_p_B1 & _still_comes(labels_BCT[:, 0])
    after_s_BT = has_s_B1 & _still_comes(labels_BCT[:, 1].flip(1)).flip(1)
    return torch.where((has_p_B1 & has_s_B1) | before_p_BT | after_s_BT, whole_BT, one_BT).mean()


def _still_comes(labels_BT: Tensor) -> Tensor:
    """Samples before the first pick of a window; none of a window without one, which may lie behind it."""
    is_pick_BT = labels_BT > 0.5
    return is_pick_BT.any(dim=1, keepdim=True) & (is_pick_BT.cumsum(dim=1) == 0)


def curves_cross_entropy(
    logits_BCT: Tensor, labels_BCT: Tensor, classes: str, labelled_BP: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of each curve, mean over batch and time, then the weighted mean of the curves.

    Curves of phases that are not labelled in a window do not count there, nor does its detection, which both tell.
    """
    weight_C = torch.tensor([CURVE_WEIGHTS[letter] for letter in classes], device=logits_BCT.device)
    of_curve_BCT = F.binary_cross_entropy_with_logits(logits_BCT, labels_BCT, reduction="none")
    if labelled_BP is not None:
        known_BC = torch.cat([labelled_BP, labelled_BP.all(dim=1, keepdim=True)], dim=1)[:, : len(classes)]
        of_curve_BCT = of_curve_BCT * known_BC[:, :, None]
    return (of_curve_BCT.mean(dim=(0, 2)) * weight_C).sum() / weight_C.sum()


def softened_curves_divergence(
    student_BCT: Tensor, teacher_BCT: Tensor, temperature: float, weight_B: Tensor | None = None
) -> Tensor:
    """T^2 KL(sigmoid(teacher/T) || sigmoid(student/T)) of each curve that the teacher has, mean over batch and time,
    summed over curves: Hinton's formula for classes that are each there or not."""
    student_BCT = student_BCT[:, : teacher_BCT.shape[1]] / temperature
    teacher_BCT = teacher_BCT[:, : student_BCT.shape[1]] / temperature
    share_BCT = teacher_BCT.sigmoid()
    divergence_BCT = share_BCT * (F.logsigmoid(teacher_BCT) - F.logsigmoid(student_BCT))
    divergence_BCT = divergence_BCT + (1 - share_BCT) * (F.logsigmoid(-teacher_BCT) - F.logsigmoid(-student_BCT))
    return temperature**2 * _weighted(divergence_BCT.sum(dim=1), weight_B).mean()
