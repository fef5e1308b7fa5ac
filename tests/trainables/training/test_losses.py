from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from trainables.training.losses import (
    curves_cross_entropy,
    known_cross_entropy,
    soft_cross_entropy,
    softened_divergence,
)


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


# Phases that are not labelled.


def labelled(*rows: tuple[bool, bool]) -> torch.Tensor:
    return torch.tensor(rows)


def test_where_both_phases_are_labelled_the_loss_is_the_same():
    logits_BCT, labels_BCT = torch.randn(2, 3, 50), torch.rand(2, 3, 50).softmax(1)
    masked = known_cross_entropy(logits_BCT, labels_BCT, labelled((True, True), (True, True)))
    assert masked == soft_cross_entropy(logits_BCT, labels_BCT)


@pytest.mark.parametrize(("phase", "rows"), [("S", (True, False)), ("P", (False, True))])
def test_a_phase_that_is_not_labelled_may_be_anything(phase, rows):
    """Moving probability between it and noise changes nothing, and has no gradient: behind a P, before an S."""
    unknown = "PS".index(phase)
    pick = 0 if phase == "S" else 3
    labels_BCT = torch.zeros(1, 3, 4)
    labels_BCT[0, 1 - unknown, pick], labels_BCT[0, 2] = 1.0, torch.ones(4).index_fill(0, torch.tensor(pick), 0.0)
    probabilities_BCT = torch.tensor([0.2, 0.2, 0.6]).view(1, 3, 1).repeat(1, 1, 4)
    moved_BCT = probabilities_BCT.clone()
    moved_BCT[0, unknown], moved_BCT[0, 2] = 0.7, 0.1
    losses = [known_cross_entropy(p_BCT.log(), labels_BCT, labelled(rows)) for p_BCT in (probabilities_BCT, moved_BCT)]
    torch.testing.assert_close(*losses)
    expected = -(3 * torch.log(torch.tensor(0.8)) + torch.log(torch.tensor(0.2))) / 4
    torch.testing.assert_close(losses[0], expected)


@pytest.mark.parametrize(("unknown", "rows"), [(1, (True, False)), (0, (False, True))])
def test_no_s_comes_before_a_p_and_no_p_after_an_s(unknown, rows):
    logits_BCT = torch.randn(1, 3, 6, requires_grad=True)
    labels_BCT = torch.zeros(1, 3, 6)
    labels_BCT[0, 2] = 1.0
    labels_BCT[0, :, 2] = torch.eye(3)[1 - unknown]
    loss = known_cross_entropy(logits_BCT, labels_BCT, labelled(rows))
    (gradient_1CT,) = torch.autograd.grad(loss, logits_BCT)
    share_CT = logits_BCT[0].softmax(0).detach()
    # Where there can be none, its probability is pushed down and that of noise up; elsewhere both are one class.
    known_T = torch.arange(6) < 2 if unknown == 1 else torch.arange(6) > 2
    torch.testing.assert_close(gradient_1CT[0, unknown][known_T] * 6, share_CT[unknown][known_T])
    assert (gradient_1CT[0, 2][known_T] < 0).all()
    other_T = ~known_T & (torch.arange(6) != 2)
    ratio_T = (gradient_1CT[0, unknown] / gradient_1CT[0, 2])[other_T]
    torch.testing.assert_close(ratio_T, (share_CT[unknown] / share_CT[2])[other_T])


def test_of_a_window_without_a_pick_of_the_labelled_phase_the_other_is_unknown():
    logits_BCT, labels_BCT = torch.randn(1, 3, 6), torch.zeros(1, 3, 6)
    labels_BCT[0, 2] = 1.0
    log_BCT = logits_BCT.log_softmax(1)
    loss = known_cross_entropy(logits_BCT, labels_BCT, labelled((True, False)))
    torch.testing.assert_close(loss, -torch.logaddexp(log_BCT[:, 1], log_BCT[:, 2]).mean())


def test_of_a_window_without_any_label_nothing_is_learnt():
    logits_BCT = torch.randn(3, 3, 50, requires_grad=True)
    labels_BCT = torch.rand(3, 3, 50).softmax(1)
    known_cross_entropy(logits_BCT, labels_BCT, labelled((True, True), (False, False), (True, False))).backward()
    assert logits_BCT.grad[1].abs().max() == 0
    assert logits_BCT.grad[0].abs().max() > 0
    assert logits_BCT.grad[2].abs().max() > 0


def test_curves_that_are_not_labelled_do_not_count():
    logits_BCT = torch.randn(2, 3, 50, requires_grad=True)
    labels_BCT = torch.rand(2, 3, 50)
    curves_cross_entropy(logits_BCT, labels_BCT, "PSD", labelled((True, True), (True, False))).backward()
    assert (logits_BCT.grad.abs().amax(dim=2) > 0).tolist() == [[True, True, True], [True, False, False]]
    whole = labelled((True, True), (True, True))
    assert curves_cross_entropy(logits_BCT, labels_BCT, "PSD", whole) == curves_cross_entropy(
        logits_BCT, labels_BCT, "PSD"
    )
