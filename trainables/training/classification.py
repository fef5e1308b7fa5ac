"""Learning to classify the windows of a sequence."""

# B batch, C true class, D width, K class, L token, N window of a split

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables import metrics
from trainables.data.sequence_batches import SequenceData, SequenceWindows
from trainables.evaluation.classification import count_confusions, scores
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.event_scores import class_counts
from trainables.models.classifier import Classifier
from trainables.run import Run
from trainables.training.config import CosineTrainingConfig
from trainables.training.distributed import sum_over_workers
from trainables.training.freezing import Freezing
from trainables.training.loop import Losses

EVALUATION_BATCH = 64
MAX_KEPT_BYTES = 2 * 2**30
"""Tokens of more windows than fit in here are computed in every epoch again."""


class Inputs(NamedTuple):
    """What the model reads of a batch: waveforms, or the tokens below the head where nothing there changes."""

    waveform_BXT: Tensor | None
    tokens_BLD: Tensor | None
    label_B: Tensor


class ClassificationTask:
    """Windows of a sequence, cross-entropy on their classes, and a confusion matrix of dev.

    While encoder and backbone rest, their answer to each window is computed once and kept: an epoch then costs the
    head alone.
    """

    def __init__(
        self,
        data: SequenceData,
        training: CosineTrainingConfig,
        seed: int,
        num_classes: int,
        run: Run,
        freezing: Freezing,
        anchors: dict[str, Tensor],
        label_smoothing: float = 0.0,
        l2_to_pretrained: float = 0.0,
    ) -> None:
        self.data, self.training, self.seed, self.num_classes = data, training, seed, num_classes
        self.run, self.freezing, self.anchors = run, freezing, anchors
        self.label_smoothing, self.l2_to_pretrained = label_smoothing, l2_to_pretrained
        self._kept: dict[str, KeptTokens] = {}
        """By split; empty while something below the head learns."""

    def num_steps(self) -> int:
        steps = -(-self.data.train.steps_per_pass(self.training.batch_size) // self.training.accumulation)
        return min(steps, self.training.limit_train_batches or steps)

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        """Keep tokens in this epoch if nothing below the head learns in it."""
        assert isinstance(model, Classifier)
        if not self.freezing.is_resting(epoch, "encoder", "backbone"):
            self._kept = {}
        elif not self._kept:
            self._kept = {
                "train": KeptTokens(self.data.train, model),
                "dev": KeptTokens(self.data.dev, model),
            }

    def batches(self, epoch: int, num_batches: int) -> Iterator[Inputs]:
        windows = self.data.train.training_windows(
            seed=self.seed,
            epoch=epoch,
            num_batches=num_batches,
            batch_size=self.training.batch_size,
            rank=self.run.rank,
            world_size=self.run.world_size,
        )
        return (self._inputs("train", window_B) for window_B in windows)

    def losses(self, model: nn.Module, batch: Inputs) -> Losses:
        logits_BK = model(batch.waveform_BXT, tokens_BLD=batch.tokens_BLD).float()
        task = F.cross_entropy(logits_BK, batch.label_B, label_smoothing=self.label_smoothing)
        losses = {metrics.TRAIN_LOSS: task, metrics.TASK_LOSS: task}
        if self.anchors:
            pull = self.l2_to_pretrained * self._distance(model)
            losses |= {metrics.TRAIN_LOSS: task + pull, metrics.L2_LOSS: pull}
        return losses

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Loss and scores on dev; all windows of all workers count once."""
        loss_sum = torch.zeros(2, dtype=torch.float64, device=self.run.device)
        confusion_CK = torch.zeros(self.num_classes, self.num_classes, dtype=torch.float64, device=self.run.device)
        for batch in self._dev_batches():
            logits_BK = model(batch.waveform_BXT, tokens_BLD=batch.tokens_BLD).float()
            loss_sum[0] += F.cross_entropy(logits_BK, batch.label_B, reduction="sum")
            loss_sum[1] += len(logits_BK)
            confusion_CK += count_confusions(logits_BK, batch.label_B)
        loss, size = sum_over_workers(loss_sum, self.run.world_size).tolist()
        self._confusion_CK = sum_over_workers(confusion_CK, self.run.world_size)
        return {metrics.DEV_LOSS: loss / size} | scores(self._confusion_CK)

    @torch.no_grad()
    def confusion(self, model: nn.Module) -> Tensor:
        """Confusion matrix (C, K) of the whole dev split."""
        self._kept = {}  # of whatever weights they were
        self.evaluate(model)
        return self._confusion_CK.cpu()

    @torch.no_grad()
    def count_by_event(self, model: nn.Module) -> EventCounts:
        """What the model takes right and wrong in each dev event. One worker counts all windows."""
        model.eval()
        seen, predicted = [], []
        for window_B in islice(self.data.dev.windows(EVALUATION_BATCH), self.training.limit_dev_batches):
            batch = self._inputs("dev", window_B)
            seen.append(window_B)
            predicted.append(model(batch.waveform_BXT, tokens_BLD=batch.tokens_BLD).argmax(dim=1).cpu().numpy())
        window_N, dev = np.concatenate(seen), self.data.dev
        return class_counts(dev.label_N[window_N], np.concatenate(predicted), dev.event_N[window_N], self.num_classes)

    def _dev_batches(self) -> Iterator[Inputs]:
        windows = self.data.dev.windows(EVALUATION_BATCH, self.run.rank, self.run.world_size)
        return (self._inputs("dev", window_B) for window_B in islice(windows, self.training.limit_dev_batches))

    def _inputs(self, split: str, window_B: np.ndarray) -> Inputs:
        if split in self._kept and self._kept[split].fits:
            return self._kept[split].inputs(window_B)
        batch = getattr(self.data, split).batch(window_B)
        return Inputs(batch.waveform_BXT, None, batch.label_B)

    def _distance(self, model: nn.Module) -> Tensor:
        plain = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        learning = {name: p for name, p in plain.named_parameters() if p.requires_grad and name in self.anchors}
        squares = [(p - self.anchors[name]).square().sum() for name, p in learning.items()]
        return 0.5 * torch.stack(squares).sum() if squares else torch.zeros((), device=self.run.device)


class KeptTokens:
    """Tokens below the head of the windows of a split, each computed when it is first asked for."""

    def __init__(self, windows: SequenceWindows, model: Classifier) -> None:
        self.windows, self.model = windows, model
        self._tokens_NLD: Tensor | None = None
        self._known_N = np.zeros(len(windows), dtype=bool)
        self.fits = len(windows) * self._bytes_of_one() <= MAX_KEPT_BYTES

    def inputs(self, window_B: np.ndarray) -> Inputs:
        new = np.unique(window_B[~self._known_N[window_B]])
        if len(new):
            self._compute(new)
        assert self._tokens_NLD is not None
        label_B = torch.from_numpy(self.windows.label_N[window_B]).to(self._tokens_NLD.device)
        return Inputs(None, self._tokens_NLD[torch.from_numpy(window_B)], label_B)

    @torch.no_grad()
    def _compute(self, new: np.ndarray) -> None:
        tokens_BLD, _ = self.model.tokens(self.windows.batch(new).waveform_BXT)
        if self._tokens_NLD is None:
            self._tokens_NLD = tokens_BLD.new_empty(len(self.windows), *tokens_BLD.shape[1:])
        self._tokens_NLD[torch.from_numpy(new)] = tokens_BLD
        self._known_N[new] = True

    def _bytes_of_one(self) -> int:
        config = self.model.config
        return 4 * config.d_model * -(-self.windows.num_samples // 2**config.conv_layers)
