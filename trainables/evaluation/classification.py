"""How well windows are classified: a confusion matrix that workers can add up, and scores of it."""

# B window of a batch, C true class, K predicted class

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from trainables import metrics


def count_confusions(logits_BC: Tensor, label_B: Tensor) -> Tensor:
    """Confusion matrix (C, K) as float64: windows of class C that were taken for class K.

    Sums of it over batches and workers are the confusion matrix of the whole split; scores are never averaged.
    """
    num_classes = logits_BC.shape[1]
    cell_B = label_B * num_classes + logits_BC.argmax(dim=1)
    counts = torch.bincount(cell_B, minlength=num_classes**2)
    return counts.view(num_classes, num_classes).double()


def class_f1(confusion_CK: Tensor) -> Tensor:
    """F1 of each class (C,): 2 TP / (2 TP + FP + FN); 0 for a class that neither occurs nor is predicted."""
    hits_C = confusion_CK.diagonal()
    return 2 * hits_C / (confusion_CK.sum(dim=0) + confusion_CK.sum(dim=1)).clamp(min=1)


def scores(confusion_CK: Tensor, split: str = "dev") -> dict[str, float]:
    """Accuracy, macro F1 (the mean over classes) and the F1 of each class, under their metric names."""
    f1_C = class_f1(confusion_CK)
    accuracy = confusion_CK.diagonal().sum() / confusion_CK.sum().clamp(min=1)
    found = {metrics.classification(split, "accuracy"): float(accuracy)}
    found[metrics.classification(split, "macro_f1")] = float(f1_C.mean())
    for label, f1 in enumerate(f1_C.tolist()):
        found[metrics.classification(split, f"class_{label}_f1")] = f1
    return found


def confusion_table(confusion_CK: Tensor, names: list[str]) -> pd.DataFrame:
    """The matrix with its class names, whole numbers: one row a true class, one column a predicted one."""
    table = pd.DataFrame(confusion_CK.cpu().numpy().astype(int), index=names, columns=names)
    return table.rename_axis(index="true", columns="predicted")
