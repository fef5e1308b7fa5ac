"""What a finished classifier leaves behind: weights, confusion matrix, class-activation maps, training history."""

# B window, C true class, K predicted class, L token, T time sample

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from trainables.atomic import whole_folder
from trainables.data.sequence_batches import SequenceWindows
from trainables.evaluation.classification import confusion_table
from trainables.export.drawing import BLUE, GREY, draw_confusions, save
from trainables.export.files import CONFUSIONS_FILE
from trainables.export.history import CLASSIFIER_SCORES, training_history
from trainables.models.classifier import Classifier

WEIGHTS_FILE = "classifier.pt"
MAPS_SHOWN = 6


def export_classifier(
    model: Classifier,
    *,
    dev: SequenceWindows,
    confusion_CK: Tensor,
    names: list[str],
    history: Sequence[Mapping[str, float]],
    best_epoch: int,
    settings: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write everything into `folder`, which appears complete or not at all; `model` is left as it is."""
    with whole_folder(folder) as arriving:
        torch.save({"config": settings, "state_dict": model.state_dict()}, arriving / WEIGHTS_FILE)
        confusion_table(confusion_CK, names).to_csv(arriving / CONFUSIONS_FILE)
        confusion_matrix(confusion_CK, names, arriving / "confusion_matrix.png")
        training_history(history, arriving / "training_history.png", best_epoch, CLASSIFIER_SCORES)
        activation_maps(model, dev, names, arriving / "activation_maps.png")


def confusion_matrix(confusion_CK: Tensor, names: list[str], path: Path) -> None:
    """Counts, coloured by their share of the true class; each class's F1 at the right."""
    size = 2.4 + 0.62 * len(names)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"dev: {draw_confusions(axes, confusion_CK.cpu().numpy(), names)}")
    save(figure, path)


@torch.no_grad()
def activation_maps(model: Classifier, windows: SequenceWindows, names: list[str], path: Path) -> None:
    """Vertical component of a few windows over the map of the class that the model takes them for.

    The map says what each stretch of the waveform adds to that class (Zhou et al. 2016, arXiv:1512.04150).
    """
    shown = np.unique(np.linspace(0, len(windows) - 1, min(MAPS_SHOWN, len(windows))).astype(int))
    batch = windows.batch(shown)
    was_training = model.training
    map_BKL = model.eval().activation_map(batch.waveform_BXT).float()
    model.train(was_training)
    predicted_B = map_BKL.mean(dim=-1).argmax(dim=1)
    figure = Figure(figsize=(9, 1.3 * len(shown) + 0.8), layout="constrained")
    all_axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for b, axes in enumerate(all_axes):
        trace_T = batch.waveform_BXT[b, 2].cpu().numpy()
        map_L = map_BKL[b, predicted_B[b]].cpu().numpy()
        reach = max(float(np.abs(map_BKL[b].cpu().numpy()).max()), 1e-9)
        top = max(float(np.abs(trace_T).max()), 1e-9)
        extent = (0.0, float(len(trace_T)), -1.1 * top, 1.1 * top)
        image = axes.imshow(map_L[None], aspect="auto", extent=extent, cmap="PuOr", vmin=-reach, vmax=reach, alpha=0.75)
        axes.plot(trace_T, color="black", linewidth=0.5)
        right = names[int(batch.label_B[b])]
        guess = names[int(predicted_B[b])]
        axes.set_ylabel(right, rotation=0, ha="right", va="center", color=BLUE if right == guess else GREY)
        axes.set_title(f"taken for {guess}", fontsize=8, loc="right")
        axes.set_yticks([])
        figure.colorbar(image, ax=axes, pad=0.01, aspect=8)
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    all_axes[-1].set_xlabel("sample of the window; colour: what speaks for (+) or against the class it is taken for")
    save(figure, path)
