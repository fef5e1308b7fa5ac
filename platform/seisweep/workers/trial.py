"""What runs on the other side: the Tune function of a trial, and the in-process runner.

The function gets plain data, builds the configuration and hands the trainable its `Run`. What a trainable raises
does not reach Tune: it is reported as the trial's failure, so that an actor is used again, a deterministic error
is not retried, and only a process that dies is.
"""

from __future__ import annotations

import logging
import math
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import ray.train
from ray import tune

from seisweep.private.ray import mask_of_the_user
from seisweep.quiet import ignore_library_warnings
from seisweep.record.provenance import hardware
from seisweep.record.tags import HARDWARE_FILE
from seisweep.requested.trainable import Trainable
from seisweep.settings.storage import Storage, download
from seisweep.workers.faults import DISK_FULL, DivergedError, Fault, StorageError, is_disk_full
from seisweep.workers.memory_limit import memory_limit
from trainables import metrics as names
from trainables.fetched import keep_in

if TYPE_CHECKING:
    import torch
    from torch import nn

FAILURE = "failure"
"""Key of a Tune result: the trial's `Fault`."""

NO_MARKER = "Unable to set up cluster storage"
"""What Ray says where a machine does not see what the driver has written into the storage."""

TRAIN = "train"
"""Folder of the storage for what Ray Train keeps for itself."""

EPOCH_FILE = ".seisweep-epoch"
"""File of a checkpoint: the epoch that it was reported at."""


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep share, as plain data."""

    trainable: str
    objectives: tuple[str, ...]
    logs: str
    """Folder of the trials' log files."""
    storage: str
    """Folder or URI that every node reaches: the place of a `Storage`."""
    workers: int
    cpus_per_worker: float
    gpus_per_worker: float
    relay: str
    """Name of the session's relay actor; only Ray Train trials use one."""
    memory_gb_per_worker: float | None = None
    scratch: str = "seisweep-trials"
    """Name of the session's folder for working files, in the temporary folder of each machine."""
    endpoint: str = ""
    """Of a storage in S3, and its region."""
    region: str = ""
    fetched: str = ""
    """Folder of each machine for data and weights that it fetches."""
    on_cluster: bool = False
    """There may be other machines, on which what fails here would not."""

    @property
    def kept_in(self) -> Storage:
        return Storage(self.storage, self.endpoint, self.region)


@dataclass
class Attempt:
    """A trial under way in this process."""

    has_reported: bool = False


class ProcessDiedError(RuntimeError):
    """A process that the trial needs was killed: Tune hears of it, and tries the trial again."""


def in_process_trial(job: Job) -> Callable[[dict[str, Any]], None]:
    """The Tune function whose actor trains by itself: one worker, used again by the next trial."""

    def trial(given: dict[str, Any]) -> None:
        with failures_reported(job, given) as attempt:
            prepare_process()
            trainable, config = load(job, given)
            if "torch" in sys.modules:
                prepare_torch(job.cpus_per_worker)
            with scratch_folder(job) as workdir, memory_limit(job.memory_gb_per_worker):
                trainable.train(config, TuneRun(workdir, job, given["resume_from"], attempt))

    return trial


@dataclass
class TuneRun:
    """A `Run` inside a Tune actor: reports go to Tune, which keeps the checkpoints."""

    workdir: Path
    job: Job
    given_checkpoint: str | None
    """Where to go on from, of an earlier session."""
    attempt: Attempt = field(default_factory=Attempt)
    rank: int = 0
    world_size: int = 1
    epoch: int | None = None

    @cached_property
    def device(self) -> torch.device:
        if "torch" not in sys.modules:  # a trainable that has done without it so far
            prepare_torch(self.job.cpus_per_worker)
        import torch

        has_gpu = self.job.gpus_per_worker > 0 and torch.cuda.is_available()
        return torch.device("cuda" if has_gpu else "cpu")

    def prepare(self, model: nn.Module) -> nn.Module:
        return model.to(self.device)

    def resume_from(self) -> Path | None:
        checkpoint = tune.get_checkpoint()
        if checkpoint is None and self.given_checkpoint:
            checkpoint = opened(self.given_checkpoint, self.job)
        return fetch(checkpoint, self.workdir, self.job) if checkpoint else None

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None = None) -> None:
        checked = check_report(self, metrics, checkpoint)
        self.attempt.has_reported = True
        with storage_blamed(self.job, checkpoint):
            tune.report({METRICS: checked}, checkpoint=tune.Checkpoint(str(checkpoint)) if checkpoint else None)


class Reporting(Protocol):
    """What `check_report` needs of a run."""

    workdir: Path
    job: Job
    epoch: int | None
    """Of the last report; None before the first one."""


def check_report(run: Reporting, metrics: Mapping[str, float], checkpoint: Path | None) -> dict[str, float]:
    """The metrics checked; the run and its checkpoint know their epoch. Raises DivergedError."""
    if run.epoch is None:
        run.epoch = epoch_of(run.workdir / "resumed")
    checked = check_metrics(metrics, run.job.objectives, run.epoch)
    run.epoch = int(checked[names.EPOCH])
    if checkpoint is not None:
        sign(checkpoint, run.epoch)
    return checked


def check_metrics(metrics: Mapping[str, float], objectives: tuple[str, ...], last_epoch: int) -> dict[str, float]:
    """Plain floats with an epoch (counted where the trainable names none). A diverged trial raises."""
    checked = {name: float(value) for name, value in metrics.items()}
    checked.setdefault(names.EPOCH, last_epoch + 1)
    for name, value in checked.items():
        counts = name in objectives or name == "loss" or name.endswith("/loss")
        if counts and not math.isfinite(value):
            raise DivergedError(f"{name} is {value} at epoch {checked[names.EPOCH]:.0f}: the training diverged")
    return checked


def load(job: Job, given: Mapping[str, Any]) -> tuple[Trainable, Any]:
    """The trainable and its configuration, from plain data. What the driver could not configure fails here."""
    if given["error"]:
        raise ValueError(given["error"])
    if job.fetched:
        keep_in(Path(job.fetched), job.endpoint)
    trainable = Trainable.find(job.trainable)
    return trainable, trainable.load(given["config"])


def prepare_process() -> None:
    """Without warnings of libraries; files get the rights that the user gives to files."""
    ignore_library_warnings()
    mask_of_the_user()


def prepare_torch(cpus: float) -> None:
    """One thread for each core that the trial has; numbers too small for normal arithmetic become 0."""
    import torch

    torch.set_num_threads(max(1, int(cpus)))
    torch.set_flush_denormal(True)


def opened(place: str, job: Job) -> tune.Checkpoint:
    """A checkpoint by its place, as the ledger has it. Raises StorageError."""
    with storage_blamed(job):
        filesystem, path = job.kept_in.at(place)
        return tune.Checkpoint(path, filesystem)


def fetch(checkpoint: ray.train.Checkpoint, workdir: Path, job: Job) -> Path:
    """A copy of the checkpoint in the working folder, where nothing can remove it. Raises StorageError."""
    resumed = workdir / "resumed"
    shutil.rmtree(resumed, ignore_errors=True)
    with storage_blamed(job):
        return download(checkpoint.filesystem, checkpoint.path, resumed)


@contextmanager
def storage_blamed(job: Job, source: Path | None = None) -> Iterator[None]:
    """What goes wrong while checkpoints come or go is the storage's fault, and not that of the trial's settings; but
    for a full disk, which has its own word, and a checkpoint that is not there. Raises StorageError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        is_another = isinstance(error, RuntimeError) and not str(error).startswith(NO_MARKER)
        is_missing = isinstance(error, FileNotFoundError) and (source is None or not source.is_dir())
        if is_another or is_missing or is_disk_full(error):
            raise
        said = "not to be reached from this machine" if isinstance(error, RuntimeError) else job.kept_in.why(error)
        raise StorageError(f"storage {job.storage}: {said}") from error


def sign(checkpoint: Path, epoch: int) -> None:
    """Write into a checkpoint when and on which machine it was made."""
    (checkpoint / EPOCH_FILE).write_text(str(epoch))
    (checkpoint / HARDWARE_FILE).write_text(hardware())


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint was reported at; 0 where there is none."""
    file = checkpoint / EPOCH_FILE
    return int(file.read_text()) if file.exists() else 0


@contextmanager
def scratch_folder(job: Job) -> Iterator[Path]:
    """A trial's working files, which end with it; the last one removes the sweep's folder on this machine. What a
    killed process leaves goes at the end of the session (`engine/litter.py`)."""
    place = scratch_place(job.scratch)
    folder = _made_in(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others are at work in it
            place.rmdir()


def _made_in(place: Path) -> Path:
    while True:
        with suppress(FileExistsError):
            place.mkdir()
        with suppress(FileNotFoundError):  # another trial was the last one in it
            return Path(tempfile.mkdtemp(prefix="trial-", dir=place))


def scratch_place(name: str) -> Path:
    """The folder of that name for working files on this machine."""
    return Path(tempfile.gettempdir()) / name


@contextmanager
def failures_reported(job: Job, given: Mapping[str, Any]) -> Iterator[Attempt]:
    """An exception becomes a report of failure with its reason; Tune does not hear of it otherwise."""
    attempt = Attempt()
    try:
        with trial_log(job, given):
            yield attempt
    except ProcessDiedError:
        raise
    except Exception as error:
        report_fault(fault_here(error, job), job, attempt)


def fault_here(error: Exception, job: Job) -> Fault:
    """What went wrong, and on which node. On a cluster a disk that is full and is not the storage is that machine's."""
    fault = Fault.of(error)._replace(node=ray.get_runtime_context().get_node_id())
    _, is_named, place = fault.reason.partition(f"{DISK_FULL} at ")
    is_shared = not is_named or place.startswith((job.storage, str(Path(job.logs).parent)))
    return fault._replace(kind="node") if job.on_cluster and fault.kind == "disk" and not is_shared else fault


def report_fault(fault: Fault, job: Job, attempt: Attempt) -> None:
    """The driver decides what follows. A process that had no memory ends with this: the next trial, or the next
    attempt, gets a fresh one. So does one whose machine may be to blame: the next attempt is made on another."""
    tune.report({METRICS: {}, FAILURE: tuple(fault)})
    of_the_machine = job.on_cluster and (fault.kind == "node" or not attempt.has_reported)
    if fault.kind == "memory" or (of_the_machine and fault.kind in ("node", "error")):
        raise RuntimeError(fault.reason) from None


@contextmanager
def trial_log(job: Job, given: Mapping[str, Any]) -> Iterator[None]:
    """While it is open, this process logs into the trial's file; a traceback that leaves it is written there.

    On another machine, which does not see the sweep's folder, Ray's own logs have to do.
    """
    if not Path(job.logs).is_dir():
        yield
        return
    file = logging.FileHandler(Path(job.logs) / log_name(given["trial"]), delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(file)
    root.setLevel(logging.INFO)
    try:
        yield
    except Exception:
        logging.getLogger("seisweep.trial").error("%s", traceback.format_exc())
        raise
    finally:
        root.removeHandler(file)
        root.setLevel(level)
        file.close()


def log_name(number: int) -> str:
    """File of a trial's log, in the sweep's `logs/`."""
    return f"trial-{number:05d}.log"


TRIAL_MEMORY_BYTES = 64 * 2**20
"""What the function of a Ray Train trial asks for: no CPU, or its own would lock out its workers on a small machine,
but Tune wants it to take something."""


METRICS = "metrics"
"""Key of a Tune result under which a trial's own metrics lie, so that none collides with Tune's."""
