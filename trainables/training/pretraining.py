"""Learning by contrast: batches with their random choices, the loss over all workers, and scores of dev."""

# B batch, G group, K negative, L token, V code of a group

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.waveforms import WaveformBatch, Waveforms
from trainables.models.contrastive import ContrastiveConfig, gumbel_temperature
from trainables.run import Run
from trainables.training.config import CosineTrainingConfig
from trainables.training.contrastive_draws import ContrastiveDraws, contrastive_draws
from trainables.training.contrastive_loss import ContrastiveSums, contrastive_sums
from trainables.training.distributed import sum_over_workers
from trainables.training.loop import Losses

EVALUATION_BATCH = 32


class Drawn(NamedTuple):
    """A batch and the random choices for it."""

    windows: WaveformBatch
    draws: ContrastiveDraws
    gumbel_temperature: float


class ContrastiveTask:
    """Masked windows of unlabelled waveforms."""

    def __init__(
        self,
        train: Waveforms,
        dev: Waveforms,
        training: CosineTrainingConfig,
        contrast: ContrastiveConfig,
        samples_per_token: int,
        seed: int,
        run: Run,
    ) -> None:
        self.train, self.dev, self.training, self.contrast = train, dev, training, contrast
        self.samples_per_token, self.seed, self.run = samples_per_token, seed, run

    def num_steps(self) -> int:
        steps = -(-len(self.train) // (self.training.batch_size * self.training.accumulation))
        return min(steps, self.training.limit_train_batches or steps)

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        """Nothing: windows and masks are drawn anew for every batch."""

    def batches(self, epoch: int, num_batches: int) -> Iterator[Drawn]:
        windows = self.train.training_batches(
            seed=self.seed,
            epoch=epoch,
            num_batches=num_batches,
            batch_size=self.training.batch_size,
            rank=self.run.rank,
            world_size=self.run.world_size,
        )
        all_batches = self.training.epochs * num_batches
        for number, batch in enumerate(windows):
            progress = ((epoch - 1) * num_batches + number) / max(1, all_batches - 1)
            draws = self._draw(batch, self.seed, epoch, training=True)
            yield Drawn(batch, draws, gumbel_temperature(progress, self.contrast))

    def losses(self, model: nn.Module, batch: Drawn) -> Losses:
        total = _joint(self._sums(model, batch), self.run.world_size)
        # Workers' gradients are averaged, and each holds its own part of the joint sums' gradient.
        loss = total.loss(self.contrast.diversity_weight) * self.run.world_size
        joint = {
            metrics.CONTRASTIVE_LOSS: total.contrastive_loss(),
            metrics.DIVERSITY_LOSS: total.diversity_loss(),
            metrics.TRAIN_ACCURACY: total.accuracy(),
            metrics.TRAIN_PERPLEXITY: total.hard_perplexity(),
        }
        return {metrics.TRAIN_LOSS: loss + (loss / self.run.world_size - loss).detach()} | joint

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Contrast on fixed windows with fixed masks, hard choices without noise."""
        sums: ContrastiveSums | None = None
        windows = self.dev.fixed_batches(EVALUATION_BATCH, self.run.rank, self.run.world_size)
        for batch in islice(windows, self.training.limit_dev_batches):
            of_batch = self._sums(model, Drawn(batch, self._draw(batch, 0, 0, training=False), 1.0))
            sums = of_batch if sums is None else ContrastiveSums(*map(torch.add, sums, of_batch))
        assert sums is not None, "fewer dev windows than workers"
        total = _joint(sums, self.run.world_size)
        return {
            metrics.DEV_LOSS: total.loss(self.contrast.diversity_weight).item(),
            metrics.pretraining("dev", "contrastive_loss"): total.contrastive_loss().item(),
            metrics.pretraining("dev", "diversity_loss"): total.diversity_loss().item(),
            metrics.DEV_ACCURACY: total.accuracy().item(),
            metrics.pretraining("dev", "perplexity"): total.hard_perplexity().item(),
        }

    def _draw(self, batch: WaveformBatch, seed: int, epoch: int, training: bool) -> ContrastiveDraws:
        num_tokens = -(-self.train.config.window_samples // self.samples_per_token)
        tokens_B = (-(-batch.num_samples_B // self.samples_per_token)).tolist()
        device = self.run.device
        return contrastive_draws(
            batch.key_B.tolist(), seed, epoch, tokens_B, self.contrast, device, training, num_tokens
        )

    def _sums(self, model: nn.Module, batch: Drawn) -> ContrastiveSums:
        windows, draws = batch.windows, batch.draws
        contrast = model(
            windows.waveform_BXT,
            draws.mask_BL,
            batch.gumbel_temperature,
            draws.gumbel_BLGV,
            windows.num_samples_B,
        )
        return contrastive_sums(contrast, draws.mask_BL, draws.negatives_BLK, self.contrast.temperature)


def _joint(sums: ContrastiveSums, world_size: int) -> ContrastiveSums:
    """Sums over all workers; gradients go into this worker's own part."""

    def joint(own: Tensor) -> Tensor:
        return own + (sum_over_workers(own.detach(), world_size) - own.detach())

    return sums if world_size == 1 else ContrastiveSums(*map(joint, sums))
