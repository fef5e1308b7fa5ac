"""Training a phase picker: what distillation and label-only training share."""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.arrivals import notices
from trainables.data.augmentations import without_effect
from trainables.data.batches import MASK, Batch, DevWindows
from trainables.data.catalog import check_each, fingerprints
from trainables.data.config import PHASES, DataConfig, each_of
from trainables.data.labelled import masking_notice
from trainables.data.mixing import Source, mixed_batches
from trainables.data.quiet_stretches import check_noise
from trainables.data.splits import shared_events
from trainables.data.stream_batches import open_dev, open_sources
from trainables.data.streams import StreamStore, check_streams, streams_fingerprint
from trainables.evaluation.counts import COUNTS_FILE, MISTAKEN, EventCounts, write_counts
from trainables.evaluation.event_scores import count_by_event, mistaken_intervals, picking_intervals
from trainables.evaluation.picks import PickCounts, count_picks, scores
from trainables.evaluation.reliability import Reliability
from trainables.export.artifacts import export_picker
from trainables.models.adapters import PickerAdapter
from trainables.models.interface import Interface, prepared
from trainables.models.xiaonet import XiaoNet
from trainables.run import ARTIFACTS, Run
from trainables.training.calibrating import calibrate
from trainables.training.config import PickerTrainingConfig, TrainingConfig
from trainables.training.distributed import sum_over_workers
from trainables.training.freezing import NOTHING_FROZEN, Freezing
from trainables.training.loop import Losses, check_shares, checkpoint, final_record, go_on, seeded
from trainables.training.losses import task_loss
from trainables.training.state import TrainingState, fresh_state

Logits = Callable[[nn.Module, Batch], Tensor]
"""How a model reads a batch: logits (B, C, T), P and S first."""

BatchLosses = Callable[[Tensor, Batch], Losses]
"""Losses of the logits of a batch."""

MIN_STEPS_PER_EPOCH = 30
EVALUATION_BATCH = 64


@dataclass(frozen=True)
class PickerTask:
    """Training windows and fixed dev windows of a picker, and how it learns from them."""

    train: Sequence[Source]
    dev: DevWindows
    config: PickerTrainingConfig
    run: Run
    interface: Interface
    logits: Logits
    batch_losses: BatchLosses

    @classmethod
    def open(
        cls,
        config: PickerTrainingConfig,
        run: Run,
        model: nn.Module,
        batch_losses: BatchLosses,
        around: int = 0,
        teacher: nn.Module | None = None,
    ) -> PickerTask:
        """For a model, with windows of its length; `around`: what a teacher hears more on either side of each.
        `teacher`: who picks in streams."""
        interface: Interface = model.interface  # type: ignore[assignment]
        windowing = interface.windowing(around)
        sources = open_sources(config.data, teacher, windowing)
        dev = open_dev(config.data, teacher, windowing, run.device)
        logits = student_logits if isinstance(model, XiaoNet) else raw_logits
        return cls(sources, dev, config, run, interface, logits, batch_losses)

    def num_steps(self) -> int:
        return steps_of_an_epoch(self.config.training, self.windows_per_epoch)

    @property
    def windows_per_epoch(self) -> float:
        """One pass over the labelled traces, with as many windows of streams as belong to them."""
        labelled = [source.store for source in self.train if not isinstance(source.store, StreamStore)]
        return windows_of_an_epoch(self.config.data, sum(map(len, labelled)))

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        """Nothing: windows are drawn anew for every batch."""

    def batches(self, epoch: int, num_batches: int) -> Iterator[Batch]:
        return mixed_batches(
            self.train,
            self.config.data,
            seed=self.config.seed_of("windows"),
            epoch=epoch,
            num_steps=num_batches,
            batch_size=self.config.training.batch_size,
            device=self.run.device,
            rank=self.run.rank,
            world_size=self.run.world_size,
            visit_seed=self.config.seed,
            order_seed=self.config.seeds.order,
        )

    def losses(self, model: nn.Module, batch: Batch) -> Losses:
        return self.batch_losses(self.logits(model, batch).float(), batch)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Loss on labels and pick scores. Each phase gets the threshold with the best F1 on these windows."""
        run, counts = self.run, PickCounts.zeros()
        loss_sum = torch.zeros(2, dtype=torch.float64, device=run.device)
        for batch, arrivals in self.dev.batches(EVALUATION_BATCH, run.rank, run.world_size):
            logits_BCT = self.logits(model, batch).float()
            size = len(logits_BCT)
            loss_sum += torch.tensor([task_loss(logits_BCT, batch, self.interface) * size, size]).to(loss_sum)
            counts += count_picks(self.interface.probabilities(logits_BCT), arrivals, self.config.picks)
        counts = PickCounts(sum_over_workers(counts.tensor.to(run.device), run.world_size).cpu())
        loss, size = sum_over_workers(loss_sum, run.world_size).tolist()
        return {metrics.DEV_LOSS: loss / size} | scores(counts)

    @torch.no_grad()
    def count_by_event(self, model: nn.Module, thresholds: Mapping[str, float]) -> tuple[EventCounts, EventCounts]:
        """What the model gets right and wrong in each dev event, and which phase it takes for the other there. One
        worker counts all windows."""
        model.eval()

        def probabilities(batch: Batch) -> np.ndarray:
            return self.interface.probabilities(self.logits(model, batch).float()).cpu().numpy()

        return count_by_event(probabilities, self.dev, thresholds, self.config.picks, EVALUATION_BATCH)


def windows_of_an_epoch(data: DataConfig, num_traces: int) -> float:
    """One pass over so many labelled traces, with as many windows of streams as belong to them."""
    if not data.has_dataset:
        return data.streams_windows_per_epoch
    return num_traces / (1 - data.streams_share) if data.learns_from_streams else num_traces


def steps_of_an_epoch(config: TrainingConfig, num_windows: float) -> int:
    """Optimizer steps: as many as are asked for, else one pass over the windows, at least 30."""
    step_size = config.batch_size * config.accumulation
    return config.steps_per_epoch or max(MIN_STEPS_PER_EPOCH, math.ceil(num_windows / step_size))


def check_data(config: DataConfig) -> dict[str, str]:
    """Whether pickers can be trained on each data set, and on streams; facts of them for the record. Raises
    ValueError."""
    streams = streams_facts(config) if config.continuous else {}
    facts = _dataset_facts(config) if config.has_dataset else {"data_fingerprint": streams_fingerprint(config)}
    if line := without_effect(config):
        facts["settings_notice"] = line
    return facts | streams


def streams_facts(config: DataConfig) -> dict[str, str]:
    """What is there to learn from and to be held out, from headers alone. Raises ValueError in one line."""
    continuous, splits = check_streams(config)
    whole = f" (with all hours of {', '.join(splits.held_out)})" if splits.held_out else ""
    reference = {} if config.has_dataset else {"reference": "teacher's picks"}
    return reference | {
        "streams": ", ".join(config.continuous),
        "streams_fingerprint": streams_fingerprint(config),
        "streams_hours": ", ".join(f"{split} {its:.1f}" for split, its in splits.hours(continuous.stretches).items())
        + whole,
        **({"streams_notice": "; ".join(continuous.said)} if continuous.said else {}),
    }


def _dataset_facts(config: DataConfig) -> dict[str, str]:
    metadata = [dataset.metadata for dataset in check_each(config)]
    check_noise(metadata, config)
    names = [f"{name}: " if len(metadata) > 1 else "" for name in each_of(config.dataset)]
    said = [f"{name}{line}" for name, its in zip(names, metadata, strict=True) for line in _notices(its, config)]
    return {
        "dataset": config.named,
        "data_fingerprint": fingerprints(config.dataset),
        "events_in_two_splits": str(sum(len(shared_events(its)) for its in metadata)),
        "traces": " + ".join(map(_traces, metadata)),
        **({"data_notice": "; ".join(said)} if said else {}),
    }


def _notices(metadata: pd.DataFrame, config: DataConfig) -> list[str]:
    masked = masking_notice(metadata) if config.missing_phase == MASK else ""
    return [*notices(metadata), *([masked] if masked else [])]


def _traces(metadata: pd.DataFrame) -> str:
    """How many there are in each split."""
    count = metadata["split"].value_counts()
    return ", ".join(f"{split} {count.get(split, 0)}" for split in ("train", "dev", "test"))


def student_logits(student: nn.Module, batch: Batch) -> Tensor:
    """Logits (B, C, T) of a XiaoNet, which reads normalised windows."""
    return student(batch.normalised_BXT, logits=True)


def raw_logits(picker: nn.Module, batch: Batch) -> Tensor:
    """Logits (B, C, T) of a network behind its adapter, which prepares raw windows by itself."""
    return picker(batch.raw_BXT)


def start(
    build: Callable[[], nn.Module],
    config: PickerTrainingConfig,
    run: Run,
    freezing_of: Callable[[nn.Module], Freezing] = lambda model: NOTHING_FROZEN,
) -> TrainingState:
    """Seeded weights on the run's device, and everything that a checkpoint remembers where there is one."""
    check_shares(config.training, run)
    model = seeded(build, config.seed_of("weights"), run)
    state = fresh_state(model, config.training, freezing_of(model))
    go_on(state, run)
    return state


Further = Callable[[nn.Module, Mapping[str, float]], dict[str, float]]
"""Further scores of the best weights, at the thresholds that dev has chosen."""


def finish(
    state: TrainingState,
    task: PickerTask,
    docstring: str,
    events: Mapping[str, EventCounts] | None = None,
    further: Further = lambda model, thresholds: {},
) -> None:
    """Restore the best weights, export them, and send the final report: their dev scores and INT8 metrics. What is
    exported and scored is a calibrated copy of them where that is asked for; checkpoints keep them as they are.

    `events`: counts by dev event of other models, which the file of counts shall hold too. `further` scores are of one
    worker.
    """
    final, run, config = final_record(state), task.run, task.config
    folder = run.workdir / "training"
    thresholds = {phase: final[metrics.picking("dev", phase, "threshold")] for phase in PHASES}
    counted, model = dict(events or {}), state.model
    before: Reliability | None = None
    if run.rank == 0 and config.export.enabled:
        assert isinstance(model, XiaoNet | PickerAdapter)
        if config.export.calibrate:
            found = calibrate(model, task.logits, task.dev, config.picks, EVALUATION_BATCH)
            model, thresholds, before = found.model, dict(found.thresholds), found.before
            final |= found.metrics
            state.tags[metrics.CALIBRATION] = found.words
        exported = export_picker(
            model,
            calibration_NXT=calibration_windows(task.train, config, task.interface),
            dev=task.dev,
            thresholds=thresholds,
            history=state.history,
            picks=config.picks,
            config=config.export,
            folder=folder / ARTIFACTS,
            docstring=docstring,
            best_epoch=state.stopping.best_epoch,
            latency_ratio=final.get(metrics.INT8_LATENCY_RATIO),
            uncalibrated=before,
        )
        final |= exported.metrics
        state.tags |= exported.tags
        counted |= exported.events
    if run.rank == 0:
        counted["dev"], mistaken = task.count_by_event(model, thresholds)
        counted |= {MISTAKEN.format("dev"): mistaken} if mistaken.phases else {}
        final |= picking_intervals(counted["dev"], "dev") | mistaken_intervals(mistaken, "dev")
        final |= further(model, thresholds)
        (folder / ARTIFACTS).mkdir(parents=True, exist_ok=True)
        write_counts(folder / ARTIFACTS / COUNTS_FILE, counted)
    run.report(final, checkpoint(state, run))


def calibration_windows(sources: Sequence[Source], config: PickerTrainingConfig, interface: Interface) -> np.ndarray:
    """Prepared training windows (N, X, T) that quantization takes its ranges from; the same every time."""
    (batch,) = mixed_batches(
        sources,
        config.data,
        seed=config.seed,
        epoch=0,
        num_steps=1,
        batch_size=config.export.calibration_windows,
        device=torch.device("cpu"),
    )
    return prepared(batch.raw_BXT, interface.steps).numpy()
