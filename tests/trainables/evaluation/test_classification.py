"""Scores of a classifier agree with scikit-learn, and counts of workers add up."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from trainables.evaluation.classification import class_f1, confusion_table, count_confusions, scores


@pytest.fixture
def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    label_B = torch.randint(0, 4, (200,), generator=generator)
    logits_BC = torch.randn(200, 4, generator=generator) + 1.5 * torch.nn.functional.one_hot(label_B, 4)
    return logits_BC, label_B


def test_scores_are_those_of_scikit_learn(predictions):
    logits_BC, label_B = predictions
    taken_B = logits_BC.argmax(dim=1)
    confusion_CK = count_confusions(logits_BC, label_B)
    found = scores(confusion_CK)
    assert confusion_CK.int().tolist() == confusion_matrix(label_B, taken_B).tolist()
    assert found["dev/accuracy"] == pytest.approx(accuracy_score(label_B, taken_B))
    assert found["dev/macro_f1"] == pytest.approx(f1_score(label_B, taken_B, average="macro"))
    each = [found[f"dev/class_{label}_f1"] for label in range(4)]
    assert each == pytest.approx(f1_score(label_B, taken_B, average=None))
    assert set(scores(confusion_CK, "test")) == {name.replace("dev/", "test/") for name in found}


def test_counts_of_parts_add_up(predictions):
    logits_BC, label_B = predictions
    parts = [count_confusions(logits_BC[part], label_B[part]) for part in (slice(0, 7), slice(7, None))]
    assert torch.equal(parts[0] + parts[1], count_confusions(logits_BC, label_B))


def test_a_class_that_is_absent_scores_zero():
    confusion_CK = count_confusions(torch.eye(3)[[0, 1]], torch.tensor([0, 1]))
    assert class_f1(confusion_CK).tolist() == [1, 1, 0]
    assert scores(torch.zeros(3, 3))["dev/accuracy"] == 0


def test_the_table_says_what_was_taken_for_what():
    confusion_CK = count_confusions(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    table = confusion_table(confusion_CK, ["pre", "post"])
    assert table.loc["pre", "post"] == 1
    assert table.loc["post", "pre"] == 0
    assert (table.index.name, table.columns.name) == ("true", "predicted")
