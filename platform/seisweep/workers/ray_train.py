"""The Ray Train runner: a trial is a TorchTrainer of N workers, seen from Tune as one function."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train
from ray import tune
from ray.exceptions import RayActorError
from ray.train.backend import BackendConfig

from seisweep.private.ray import DataParallelTrainer, without_group_cleaner
from seisweep.private.ray_placing import WorkersOnNodes
from seisweep.workers.faults import Fault
from seisweep.workers.memory_limit import memory_limit
from seisweep.workers.no_process_group import LoneWorker
from seisweep.workers.relay import Forward, usable_nodes
from seisweep.workers.trial import (
    METRICS,
    TRAIN,
    TRIAL_MEMORY_BYTES,
    Attempt,
    Job,
    ProcessDiedError,
    check_report,
    failures_reported,
    fault_here,
    fetch,
    load,
    opened,
    prepare_process,
    prepare_torch,
    report_fault,
    scratch_folder,
    storage_blamed,
    trial_log,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

KEPT_BY_TRAIN = 4
"""Train's copies of checkpoints: Tune copies one while another waits in the relay and a third is written."""


def ray_train_trial(job: Job) -> Callable[[dict[str, Any]], None]:
    """The Tune function that runs a TorchTrainer beside itself and passes its reports on to Tune."""

    def trial(given: dict[str, Any]) -> None:
        relay = ray.get_actor(job.relay)
        attempt = f"{tune.get_context().get_trial_id()}-{uuid.uuid4().hex[:8]}"
        fault = None
        with failures_reported(job, given) as attempted:
            # `tune.get_checkpoint` knows more than `given` where Tune has tried this trial before.
            earlier = tune.get_checkpoint() or (given["resume_from"] and opened(given["resume_from"], job))
            trainer = _trainer(job, given, attempt, earlier or None)
            threading.Thread(target=_fit, args=(trainer, relay, attempt), daemon=True).start()
            try:
                fault = _pass_on(relay, attempt, attempted)
            finally:  # also where Tune stops the trial, which ends `tune.report` with SystemExit
                relay.close.remote(attempt)
        if fault:
            report_fault(fault, job, attempted)

    return tune.with_resources(trial, {"memory": TRIAL_MEMORY_BYTES})


def _pass_on(relay: Any, attempt: str, attempted: Attempt) -> Fault | None:
    """Reports to Tune, until the last letter, which may be about a fault."""
    while True:
        kind, body = ray.get(relay.take.remote(attempt))
        if kind == "report":
            metrics, checkpoint = body
            kept = tune.Checkpoint(checkpoint.path, checkpoint.filesystem) if checkpoint else None
            attempted.has_reported = True
            tune.report({METRICS: metrics}, checkpoint=kept)
        elif kind == "failed":
            return Fault(*body)
        elif kind == "died":
            raise ProcessDiedError(body)
        else:
            return None


def _fit(trainer: Any, relay: Any, attempt: str) -> None:
    """Train to the end. The last letter says that it is reached, or why not."""
    try:
        trainer.fit()
    except RayActorError as error:  # workers that die are Train's business: this is its controller
        relay.put.remote(attempt, ("died", str(error)))
    except Exception as error:
        fault = Fault.of(error)
        if fault.kind == "error":
            fault = Fault("error", f"Ray Train gave up: {fault.reason}")
        relay.put.remote(attempt, ("failed", fault))
    else:
        relay.put.remote(attempt, ("end", None))


def _trainer(job: Job, given: Mapping[str, Any], attempt: str, earlier: tune.Checkpoint | None) -> Trainer:
    use_gpu = job.gpus_per_worker > 0
    worker = {"CPU": job.cpus_per_worker} | ({"GPU": job.gpus_per_worker} if use_gpu else {})
    worker |= {"memory": job.memory_gb_per_worker * 2**30} if job.memory_gb_per_worker else {}
    return Trainer(
        _train_loop,
        # The controller reads this too: plain data, so that it need not import what the workers import.
        train_loop_config={"job": asdict(job), "given": dict(given), "attempt": attempt, "earlier": earlier},
        backend_config=_process_group(job),
        scaling_config=ray.train.ScalingConfig(num_workers=job.workers, use_gpu=use_gpu, resources_per_worker=worker),
        run_config=ray.train.RunConfig(
            name=f"trial-{given['trial']:05d}-{attempt}",
            **job.kept_in.for_ray(TRAIN),
            callbacks=[Forward(job.relay, attempt), *_placing(job, given)],
            # A worker that is killed: once more from its last checkpoint. `Forward` ends what raised before, and on a
            # cluster, where a trial outlives any number of nodes, what was killed too often.
            failure_config=ray.train.FailureConfig(max_failures=-1 if job.on_cluster else 1),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_BY_TRAIN),
        ),
    )


def _placing(job: Job, given: Mapping[str, Any]) -> list[Any]:
    """On a cluster: where the workers may begin."""
    return [WorkersOnNodes(partial(usable_nodes, job.relay, given["avoid"]))] if job.on_cluster else []


class Trainer(DataParallelTrainer):
    """A `TorchTrainer` whose `TorchConfig` is always given, so that it need not import torch, and without Ray's cleaner
    of placement groups, a process more for each trial: the relay does its work.

    The cleaner asks the dashboard whether its controller lives; where there is none, it would outlive a killed one for
    ever.
    """

    def _create_default_callbacks(self) -> list[Any]:
        return without_group_cleaner(super()._create_default_callbacks())


def _process_group(job: Job) -> BackendConfig:
    """How the workers of a trial find each other. One has nobody to find."""
    if job.workers == 1:
        return LoneWorker()
    import ray.train.torch

    # NCCL refuses two workers on one card, which shares of less than 1 may give.
    return ray.train.torch.TorchConfig(backend="nccl" if job.gpus_per_worker >= 1 else "gloo")


def _train_loop(context: dict[str, Any]) -> None:
    """What every worker runs."""
    job, given, attempt = Job(**context["job"]), context["given"], context["attempt"]
    relay = ray.get_actor(job.relay)
    node = ray.get_runtime_context().get_node_id()
    ray.get(relay.register.remote(attempt, ray.util.get_current_placement_group(), node))
    prepare_process()
    try:
        with trial_log(job, given), scratch_folder(job) as workdir, memory_limit(job.memory_gb_per_worker):
            trainable, config = load(job, given)
            if "torch" in sys.modules:
                prepare_torch(job.cpus_per_worker)
            trainable.train(config, WorkerRun(workdir, job, context["earlier"]))
    except Exception as error:
        # Only the controller sees whether another worker died, for which this one then is not to blame.
        ray.get(relay.blame.remote(attempt, fault_here(error, job)))
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

    def __post_init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()

    @cached_property
    def device(self) -> torch.device:
        if "torch" not in sys.modules:  # a trainable that has done without it so far
            prepare_torch(self.job.cpus_per_worker)
        import ray.train.torch

        return ray.train.torch.get_device()

    def prepare(self, model: nn.Module) -> nn.Module:
        import ray.train.torch

        return ray.train.torch.prepare_model(model)

    def resume_from(self) -> Path | None:
        checkpoint = ray.train.get_checkpoint() or self.earlier
        return fetch(checkpoint, self.workdir, self.job) if checkpoint else None

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        mine = checkpoint if self.rank == 0 else None
        checked = check_report(self, metrics, mine)
        with storage_blamed(self.job, mine):
            ray.train.report(checked, checkpoint=ray.train.Checkpoint.from_directory(str(mine)) if mine else None)
