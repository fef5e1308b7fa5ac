"""The Ray Train runner: a trial is a TorchTrainer of N workers, seen from Tune as one function."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.train.backend import BackendConfig
from torch import nn

from seisweep.lone_worker import LoneWorker
from seisweep.mailbox import Forward
from seisweep.runners import (
    EPOCH_FILE,
    FAILURE,
    Job,
    check_metrics,
    epoch_of,
    failures_reported,
    fetch,
    load,
    one_line,
    prepare_process,
    scratch_folder,
    trial_log,
)
from seisweep.schedulers import METRICS
from trainables import metrics as names

TRIAL_RESOURCES = {"memory": 64 * 2**20}
"""A trial function takes no CPU, or its own would lock out its workers on a small machine; Tune wants it to take
something."""

KEPT_BY_TRAIN = 4
"""Train's copies of checkpoints: Tune copies one while another waits in the mailbox and a third is written."""


def ray_train_trial(job: Job) -> Callable[[dict[str, Any]], None]:
    """The Tune function that runs a TorchTrainer beside itself and passes its reports on to Tune."""

    def trial(given: dict[str, Any]) -> None:
        mailbox = ray.get_actor(job.mailbox)
        attempt = f"{tune.get_context().get_trial_id()}-{uuid.uuid4().hex[:8]}"
        with failures_reported(job, given):
            # `tune.get_checkpoint` knows more than `given` where Tune has tried this trial before.
            earlier = tune.get_checkpoint() or (given["resume_from"] and tune.Checkpoint(given["resume_from"]))
            trainer = _trainer(job, given, attempt, earlier or None)
            threading.Thread(target=_fit, args=(trainer, mailbox, attempt), daemon=True).start()
            try:
                _pass_on(mailbox, attempt)
            finally:  # also where Tune stops the trial, which ends `tune.report` with SystemExit
                mailbox.close.remote(attempt)

    return tune.with_resources(trial, TRIAL_RESOURCES)


def _pass_on(mailbox: Any, attempt: str) -> None:
    while True:
        kind, body = ray.get(mailbox.take.remote(attempt))
        if kind == "report":
            metrics, checkpoint = body
            kept = tune.Checkpoint(checkpoint.path, checkpoint.filesystem) if checkpoint else None
            tune.report({METRICS: metrics}, checkpoint=kept)
        elif kind == "failed":
            tune.report({METRICS: {}, FAILURE: body})
            return
        else:
            return


def _fit(trainer: Any, mailbox: Any, attempt: str) -> None:
    """Train to the end. The last letter says that it is reached, or why not."""
    try:
        trainer.fit()
    except Exception as error:
        reason = f"Ray Train gave up: {one_line(error)}"
        mailbox.put.remote(attempt, ("failed", reason))
    else:
        mailbox.put.remote(attempt, ("end", None))


def _trainer(
    job: Job, given: Mapping[str, Any], attempt: str, earlier: tune.Checkpoint | None
) -> ray.train.torch.TorchTrainer:
    use_gpu = job.gpus_per_worker > 0
    worker = {"CPU": job.cpus_per_worker} | ({"GPU": job.gpus_per_worker} if use_gpu else {})
    return ray.train.torch.TorchTrainer(
        _train_loop,
        # The controller reads this too: plain data, so that it need not import what the workers import.
        train_loop_config={"job": asdict(job), "given": dict(given), "attempt": attempt, "earlier": earlier},
        torch_config=_process_group(job),
        scaling_config=ray.train.ScalingConfig(num_workers=job.workers, use_gpu=use_gpu, resources_per_worker=worker),
        run_config=ray.train.RunConfig(
            name=f"trial-{given['trial']:05d}-{attempt}",
            storage_path=f"{job.storage}/train",
            callbacks=[Forward(job.mailbox, attempt)],
            # A worker that is killed: once more from its last checkpoint. `Forward` ends what raised before.
            failure_config=ray.train.FailureConfig(max_failures=1),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_BY_TRAIN),
        ),
    )


def _process_group(job: Job) -> BackendConfig:
    """How the workers of a trial find each other. One has nobody to find."""
    if job.workers == 1:
        return LoneWorker()
    # NCCL refuses two workers on one card, which shares of less than 1 may give.
    return ray.train.torch.TorchConfig(backend="nccl" if job.gpus_per_worker >= 1 else "gloo")


def _train_loop(context: dict[str, Any]) -> None:
    """What every worker runs."""
    job, given, attempt = Job(**context["job"]), context["given"], context["attempt"]
    mailbox = ray.get_actor(job.mailbox)
    if ray.train.get_context().get_world_rank() == 0:
        ray.get(mailbox.register.remote(attempt, ray.util.get_current_placement_group()))
    prepare_process(job.cpus_per_worker)
    try:
        with trial_log(job, given), scratch_folder() as workdir:
            trainable, config = load(job, given)
            trainable.train(config, WorkerRun(workdir, job, context["earlier"]))
    except Exception as error:
        # Only the controller sees whether another worker died, for which this one then is not to blame.
        ray.get(mailbox.blame.remote(attempt, one_line(error)))
        raise


@dataclass
class WorkerRun:
    """A `Run` inside a Ray Train worker."""

    workdir: Path
    job: Job
    earlier: ray.train.Checkpoint | None
    """Where to go on from, where this Train run itself has no checkpoint yet."""
    epoch: int | None = None
    rank: int = field(init=False)
    world_size: int = field(init=False)
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()

    def prepare(self, model: nn.Module) -> nn.Module:
        return ray.train.torch.prepare_model(model)

    def resume_from(self) -> Path | None:
        checkpoint = ray.train.get_checkpoint() or self.earlier
        return fetch(checkpoint, self.workdir) if checkpoint else None

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        if self.epoch is None:
            self.epoch = epoch_of(self.workdir / "resumed")
        checked = check_metrics(metrics, self.job.objectives, self.epoch)
        self.epoch = int(checked[names.EPOCH])
        kept = None
        if checkpoint is not None and self.rank == 0:
            (checkpoint / EPOCH_FILE).write_text(str(self.epoch))
            kept = ray.train.Checkpoint.from_directory(str(checkpoint))
        ray.train.report(checked, checkpoint=kept)
