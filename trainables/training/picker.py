"""Training a phase picker: the epoch loop that distillation and label-only training share."""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.batches import Batch, DevWindows, training_batches
from trainables.data.catalog import check_dataset, fingerprint, load_dataset
from trainables.data.config import PHASES, DataConfig
from trainables.data.splits import shared_events
from trainables.data.windows import WindowStore, open_store
from trainables.evaluation.picks import PickCounts, count_picks, scores
from trainables.export.artifacts import export_picker
from trainables.run import ARTIFACTS, Run
from trainables.training.config import PickerTrainingConfig
from trainables.training.distributed import gradients_stay_here, same_buffers, sum_over_workers
from trainables.training.losses import soft_cross_entropy
from trainables.training.precision import autocast
from trainables.training.state import TrainingState, fresh_state

logger = logging.getLogger("trainables")

Logits = Callable[[nn.Module, Batch], Tensor]
"""How a model reads a batch: logits (B, C, T) in order P, S, noise."""

Losses = dict[str, Tensor]
"""Scalars by metric name; `metrics.TRAIN_LOSS` is the one that is minimised."""

BatchLosses = Callable[[Tensor, Batch], Losses]
"""Losses of the logits of a batch."""

MIN_STEPS_PER_EPOCH = 30
EVALUATION_BATCH = 64
HINTS_TAG = "hints"


@dataclass(frozen=True)
class PickerData:
    """Training windows and the fixed dev windows of a run."""

    train: WindowStore
    dev: DevWindows

    @classmethod
    def open(cls, config: PickerTrainingConfig, device: torch.device) -> PickerData:
        dev = DevWindows(open_store(config.data, "dev"), config.data, device)
        return cls(train=open_store(config.data, "train"), dev=dev)


def check_data(config: DataConfig) -> dict[str, str]:
    """Whether pickers can be trained on the data set; facts of it for the record. Raises ValueError."""
    dataset = load_dataset(config.dataset)
    check_dataset(dataset, config.dataset)
    traces = dataset.metadata["split"].value_counts()
    return {
        "dataset": config.dataset,
        "data_fingerprint": fingerprint(config.dataset),
        "events_in_two_splits": str(len(shared_events(dataset.metadata))),
        "traces": ", ".join(f"{split} {traces.get(split, 0)}" for split in ("train", "dev", "test")),
    }


def student_logits(student: nn.Module, batch: Batch) -> Tensor:
    """Logits (B, C, T) of a XiaoNet, which reads normalised windows."""
    return student(batch.normalised_BXT, logits=True)


def start(build: Callable[[], nn.Module], config: PickerTrainingConfig, run: Run) -> TrainingState:
    """Seeded weights on the run's device, and everything that a checkpoint remembers where there is one."""
    if config.training.batch_size % run.world_size:
        raise ValueError(
            f"training.batch_size = {config.training.batch_size} cannot be shared by {run.world_size} workers: "
            "take a multiple of their number"
        )
    torch.set_flush_denormal(True)  # denormal numbers of fading activations are a hundred times slower
    seed_epoch(config.seed, epoch=0, rank=0)
    state = fresh_state(build().to(run.device), config.training)
    checkpoint = run.resume_from()
    if checkpoint is not None:
        state.load(checkpoint, run.device)
    return state


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Key torch's generators (dropout) by seed, epoch and worker, so that no random state outlives an epoch."""
    torch.manual_seed(hash((seed, epoch, rank)) % 2**63)


def fit(
    state: TrainingState,
    logits: Logits,
    losses: BatchLosses,
    data: PickerData,
    config: PickerTrainingConfig,
    run: Run,
    constants: dict[str, float],
    advise: Callable[[list[dict[str, float]]], list[str]],
) -> None:
    """Train until early stopping or the last epoch, reporting each with a checkpoint.

    `constants` (the architecture's bytes and latency) go into every report. The best weights are left in
    `state`, not yet restored. Raises FloatingPointError where the loss is no longer finite.
    """
    model = run.prepare(state.model)
    for epoch in range(state.epochs_done + 1, config.training.epochs + 1):
        if state.stopping.stop:
            break
        started_s = time.monotonic()
        seed_epoch(config.seed, epoch, run.rank)
        record = constants | {metrics.EPOCH: epoch, metrics.FINAL: 0}
        record |= train_epoch(model, state, logits, losses, data.train, config, run, epoch)
        same_buffers(state.model, run.world_size)
        record |= evaluate(state.model, logits, data.dev, config, run)
        record[metrics.EPOCH_TIME_S] = time.monotonic() - started_s
        state.end_epoch(record, record[config.training.monitor])
        note_hints(state, advise(state.history))
        run.report(record, _checkpoint(state, run))


def note_hints(state: TrainingState, found: list[str]) -> None:
    """Keep the latest hints as a tag; log each when its remedy is new, not each time its numbers change."""
    known = state.tags.pop(HINTS_TAG, "")
    for hint in found:
        if hint.partition(": ")[2] not in known:
            logger.info("epoch %d: %s", state.epochs_done, hint)
    if found:
        state.tags[HINTS_TAG] = "\n".join(found)


def train_epoch(
    model: nn.Module,
    state: TrainingState,
    logits: Logits,
    losses: BatchLosses,
    store: WindowStore,
    config: PickerTrainingConfig,
    run: Run,
    epoch: int,
) -> dict[str, float]:
    """One epoch of optimizer steps; the mean losses over all workers and the learning rate."""
    training = config.training
    step_size = training.batch_size * training.accumulation
    num_batches = training.accumulation * (
        training.steps_per_epoch or max(MIN_STEPS_PER_EPOCH, math.ceil(len(store) / step_size))
    )
    batches = training_batches(
        store,
        config.data,
        seed=config.seed,
        epoch=epoch,
        num_steps=num_batches,
        batch_size=training.batch_size,
        device=run.device,
        rank=run.rank,
        world_size=run.world_size,
    )
    model.train()
    state.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for number, batch in enumerate(batches, start=1):
        steps_now = number % training.accumulation == 0
        with gradients_stay_here(model, not steps_now):
            with autocast(run.device, training.precision):
                batch_losses = losses(logits(model, batch).float(), batch)
            (batch_losses[metrics.TRAIN_LOSS] / training.accumulation).backward()
        if steps_now:
            nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
        for name, loss in batch_losses.items():
            sums[name] = sums.get(name, torch.zeros_like(loss)) + loss.detach()

    total = sum_over_workers(torch.stack(list(sums.values())), run.world_size) / (num_batches * run.world_size)
    means = dict(zip(sums, total.tolist(), strict=True))
    if not math.isfinite(means[metrics.TRAIN_LOSS]):
        raise FloatingPointError(
            f"loss is {means[metrics.TRAIN_LOSS]} in epoch {epoch}: lower training.learning_rate "
            f"({training.learning_rate:g})"
        )
    return means | {metrics.LEARNING_RATE: state.optimizer.param_groups[0]["lr"]}


@torch.no_grad()
def evaluate(
    model: nn.Module,
    logits: Logits,
    dev: DevWindows,
    config: PickerTrainingConfig,
    run: Run,
) -> dict[str, float]:
    """Loss on labels and pick scores over the whole dev split, counts summed over workers.

    Each phase gets the threshold with the best F1 on these windows.
    """
    model.eval()
    counts = PickCounts.zeros()
    loss_sum = torch.zeros(2, dtype=torch.float64, device=run.device)
    for batch, arrivals in dev.batches(EVALUATION_BATCH, run.rank, run.world_size):
        logits_BCT = logits(model, batch).float()
        size = len(logits_BCT)
        loss_sum += torch.tensor([soft_cross_entropy(logits_BCT, batch.labels_BCT) * size, size]).to(loss_sum)
        counts += count_picks(logits_BCT.softmax(dim=1), arrivals, config.picks)
    counts = PickCounts(sum_over_workers(counts.tensor.to(run.device), run.world_size).cpu())
    loss, size = sum_over_workers(loss_sum, run.world_size).tolist()
    return {metrics.DEV_LOSS: loss / size} | scores(counts)


def finish(state: TrainingState, data: PickerData, config: PickerTrainingConfig, run: Run, docstring: str) -> None:
    """Restore the best weights, export them, and send the final report: their dev scores and INT8 metrics."""
    best = state.restore_best()
    final = {name: value for name, value in best.items() if not name.startswith(("train/", "time/"))}
    final |= {
        metrics.EPOCH: state.epochs_done,
        metrics.FINAL: 1,
        metrics.BEST_EPOCH: state.stopping.best_epoch,
    }
    folder = run.workdir / "training"
    if run.rank == 0 and config.export.enabled:
        exported = export_picker(
            state.model,
            calibration_NXT=calibration_windows(data.train, config),
            dev=data.dev,
            thresholds={phase: best[metrics.picking("dev", phase, "threshold")] for phase in PHASES},
            history=state.history,
            picks=config.picks,
            config=config.export,
            folder=folder / ARTIFACTS,
            docstring=docstring,
            best_epoch=state.stopping.best_epoch,
        )
        final |= exported.metrics
        state.tags |= exported.tags
    run.report(final, _checkpoint(state, run))


def calibration_windows(store: WindowStore, config: PickerTrainingConfig) -> np.ndarray:
    """Normalised training windows (N, X, T) that quantization takes its ranges from; the same every time."""
    (batch,) = training_batches(
        store,
        config.data,
        seed=config.seed,
        epoch=0,
        num_steps=1,
        batch_size=config.export.calibration_windows,
        device=torch.device("cpu"),
    )
    return batch.normalised_BXT.numpy()


def _checkpoint(state: TrainingState, run: Run) -> Path | None:
    return state.save(run.workdir / "training") if run.rank == 0 else None
