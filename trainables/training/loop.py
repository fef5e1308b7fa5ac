"""The epoch loop that every trainable shares: seeds, optimizer steps, workers, freezing, checkpoints, reports."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.run import Run
from trainables.training.config import StepConfig
from trainables.training.distributed import gradients_stay_here, same_buffers, sum_over_workers
from trainables.training.freezing import NOTHING_FROZEN, Freezing
from trainables.training.precision import autocast
from trainables.training.state import TrainingState

logger = logging.getLogger("trainables")

BatchT = TypeVar("BatchT")

Losses = dict[str, Tensor]
"""Scalars by metric name; `metrics.TRAIN_LOSS` is the one that is minimised."""

Advise = Callable[[list[dict[str, float]]], list[str]]
"""Hints from the reports so far."""

HINTS_TAG = "hints"


class Task(Protocol[BatchT]):
    """What is learned: batches, their losses, and how good the model is."""

    def num_steps(self) -> int:
        """Optimizer steps of an epoch."""

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        """Called before each epoch, with what learns in it decided and the model, not wrapped, in training mode."""

    def batches(self, epoch: int, num_batches: int) -> Iterator[BatchT]:
        """This worker's part of the joint batches of an epoch, a function of seed and epoch alone."""

    def losses(self, model: nn.Module, batch: BatchT) -> Losses:
        """Losses of a batch, under autocast; gradients go through `model`, which may be wrapped for workers."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Scores on the whole dev split, counts summed over workers. Called without gradients, in eval mode."""


def check_shares(config: StepConfig, run: Run) -> None:
    """Raise ValueError where the workers cannot share a batch evenly."""
    if config.batch_size % run.world_size:
        raise ValueError(
            f"training.batch_size = {config.batch_size} cannot be shared by {run.world_size} workers: "
            "take a multiple of their number"
        )


def seeded(build: Callable[[], nn.Module], seed: int, run: Run) -> nn.Module:
    """The model with weights that the seed determines, on the run's device."""
    torch.set_flush_denormal(True)  # denormal numbers of fading activations are a hundred times slower
    seed_epoch(seed, epoch=0, rank=0)
    return build().to(run.device)


def go_on(state: TrainingState, run: Run) -> None:
    """Load the checkpoint of an interrupted run, where there is one."""
    checkpoint = run.resume_from()
    if checkpoint is not None:
        state.load(checkpoint, run.device)


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Key torch's generators (dropout) by seed, epoch and worker, so that no random state outlives an epoch."""
    torch.manual_seed(hash((seed, epoch, rank)) % 2**63)


def fit(
    state: TrainingState,
    task: Task[BatchT],
    config: StepConfig,
    seed: int,
    run: Run,
    *,
    constants: dict[str, float] | None = None,
    advise: Advise = lambda history: [],
    freezing: Freezing = NOTHING_FROZEN,
) -> None:
    """Train until early stopping or the last epoch, reporting each with a checkpoint.

    `constants` (the architecture's bytes and latency) go into every report. The best weights are left in
    `state`, not yet restored. Raises FloatingPointError where the loss is no longer finite.
    """
    model: nn.Module | None = None
    for epoch in range(state.epochs_done + 1, config.epochs + 1):
        if state.stopping.stop:
            break
        started_s = time.monotonic()
        seed_epoch(seed, epoch, run.rank)
        if freezing.freeze(state.model, epoch) or model is None:
            model = run.prepare(state.model)  # workers exchange the gradients that there are when it is prepared
        record = (constants or {}) | {metrics.EPOCH: epoch, metrics.FINAL: 0}
        record |= train_epoch(model, state, task, config, run, epoch, freezing)
        same_buffers(state.model, run.world_size)
        state.model.eval()
        with torch.no_grad():
            record |= task.evaluate(state.model)
        record[metrics.EPOCH_TIME_S] = time.monotonic() - started_s
        state.end_epoch(record, record[config.monitor])
        record[metrics.BEST_EPOCH] = state.stopping.best_epoch
        note_hints(state, advise(state.history))
        run.report(record, checkpoint(state, run))


def train_epoch(
    model: nn.Module,
    state: TrainingState,
    task: Task[BatchT],
    config: StepConfig,
    run: Run,
    epoch: int,
    freezing: Freezing = NOTHING_FROZEN,
) -> dict[str, float]:
    """One epoch of optimizer steps; the mean losses over all workers and the learning rate."""
    num_batches = config.accumulation * task.num_steps()
    model.train()
    freezing.rest(state.model, epoch)
    task.begin_epoch(state.model, epoch)
    state.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for number, batch in enumerate(task.batches(epoch, num_batches), start=1):
        steps_now = number % config.accumulation == 0
        with gradients_stay_here(model, not steps_now):
            with autocast(run.device, config.precision):
                losses = task.losses(model, batch)
            (losses[metrics.TRAIN_LOSS] / config.accumulation).backward()
        if steps_now:
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            state.optimizer.step()
            state.schedule.after_step()
            state.optimizer.zero_grad(set_to_none=True)
        for name, loss in losses.items():
            sums[name] = sums.get(name, torch.zeros_like(loss)) + loss.detach()

    total = sum_over_workers(torch.stack(list(sums.values())), run.world_size) / (num_batches * run.world_size)
    means = dict(zip(sums, total.tolist(), strict=True))
    if not math.isfinite(means[metrics.TRAIN_LOSS]):
        raise FloatingPointError(
            f"loss is {means[metrics.TRAIN_LOSS]} in epoch {epoch}: lower training.learning_rate "
            f"({config.learning_rate:g})"
        )
    return means | {metrics.LEARNING_RATE: state.optimizer.param_groups[0]["lr"]}


def final_record(state: TrainingState) -> dict[str, float]:
    """Put the best weights back; returns the beginning of the final report: the scores of their epoch."""
    best = state.restore_best()
    return {name: value for name, value in best.items() if not name.startswith(("train/", "time/"))} | {
        metrics.EPOCH: state.epochs_done,
        metrics.FINAL: 1,
        metrics.BEST_EPOCH: state.stopping.best_epoch,
    }


def checkpoint(state: TrainingState, run: Run) -> Path | None:
    """A folder with the state, written by rank 0; `artifacts/` beside it belongs to the last report."""
    return state.save(run.workdir / "training") if run.rank == 0 else None


def note_hints(state: TrainingState, found: list[str]) -> None:
    """Keep the latest hints as a tag; log each when its remedy is new, not each time its numbers change."""
    known = state.tags.pop(HINTS_TAG, "")
    for hint in found:
        if hint.partition(": ")[2] not in known:
            logger.info("epoch %d: %s", state.epochs_done, hint)
    if found:
        state.tags[HINTS_TAG] = "\n".join(found)
