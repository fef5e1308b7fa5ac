from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from trainables.training.losses import soft_cross_entropy, softened_divergence


@pytest.mark.parametrize("num_samples", [64, 3001])
def test_divergence_does_not_depend_on_the_window_length(num_samples):
    student_BCT = torch.zeros(4, 3, num_samples)
    teacher_BCT = torch.tensor([2.0, 0.0, 0.0]).view(1, 3, 1).expand_as(student_BCT)
    divergence = softened_divergence(student_BCT, teacher_BCT, temperature=1.0)
    assert divergence.item() == pytest.approx(0.433, abs=1e-3)  # log 3 minus the teacher's entropy


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_divergence_is_torch_kl_times_the_squared_temperature(temperature):
    student_BCT, teacher_BCT = torch.randn(2, 3, 50), torch.randn(2, 3, 50)
    expected = (
        temperature**2
        * F.kl_div(
            (student_BCT / temperature).log_softmax(1),
            (teacher_BCT / temperature).softmax(1),
            reduction="none",
        )
        .sum(1)
        .mean()
    )
    torch.testing.assert_close(softened_divergence(student_BCT, teacher_BCT, temperature), expected)


def test_divergence_softens_probabilities_by_their_root():
    """On probabilities, softmax(logits / T) is p^(1/T) renormalised, as the method is often written."""
    student_BCT, teacher_BCT = torch.randn(2, 3, 50), torch.randn(2, 3, 50)

    def softened(logits_BCT: torch.Tensor) -> torch.Tensor:
        rooted = logits_BCT.softmax(1) ** (1 / 3)
        return rooted / rooted.sum(1, keepdim=True)

    student, teacher = softened(student_BCT), softened(teacher_BCT)
    expected = 9 * (teacher * (teacher / student).log()).sum(1).mean()
    torch.testing.assert_close(softened_divergence(student_BCT, teacher_BCT, 3.0), expected)


def test_divergence_of_a_perfect_student_is_zero():
    logits_BCT = torch.randn(2, 3, 50)
    assert softened_divergence(logits_BCT, logits_BCT, 3.0).item() == pytest.approx(0, abs=1e-6)


def test_cross_entropy_is_torchs_with_soft_targets():
    logits_BCT, labels_BCT = torch.randn(2, 3, 50), torch.rand(2, 3, 50).softmax(1)
    torch.testing.assert_close(soft_cross_entropy(logits_BCT, labels_BCT), F.cross_entropy(logits_BCT, labels_BCT))


def test_cross_entropy_survives_certain_and_wrong_logits():
    logits_BCT = torch.tensor([1000.0, -1000.0, 0.0]).view(1, 3, 1)
    labels_BCT = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1)
    assert soft_cross_entropy(logits_BCT, labels_BCT).item() == 2000
