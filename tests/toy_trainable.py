"""A trainable without science: a few fast epochs towards a known optimum, with checkpoints and a final report."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import socket
import time
from pathlib import Path

from pydantic import model_validator

from trainables.config import Config
from trainables.run import ARTIFACTS, TAGS, Run


class ToyTraining(Config):
    epochs: int = 4
    """Upper bound of epochs."""
    batch_size: int = 8
    accumulation: int = 1


class ToyData(Config):
    share: float = 1.0
    """Preflight refuses less than a tenth."""


class ToyConfig(Config):
    """`x` is best at 0.3. The other settings make a run slow, or make it go wrong."""

    x: float = 0.5
    size: int = 1
    label: str = "none"
    seed: int = 0
    sleep_s: float = 0.0
    training: ToyTraining = ToyTraining()
    data: ToyData = ToyData()
    fail_at: int | None = None
    """Epoch that raises."""
    nan_at: int | None = None
    """Epoch whose loss is not a number."""
    die_at: int | None = None
    """Epoch at which the process kills itself, the first time only."""
    fault: str = "none"
    """What goes wrong at the second epoch, every time: nan, raise, die, hog (memory), sleep, freeze; or, the first
    time only, full (disk). Anything else does no harm, so that a grid may have several such trials."""
    mb_per_window: int = 0
    """Memory that an epoch takes for each window of the batch."""
    checkpoint_kb: int = 0
    """Size of a checkpoint."""
    marks: Path | None = None
    """Folder where each epoch that is computed leaves a line."""
    bad_x: float | None = None
    """Preflight refuses this x."""
    records: Path | None = None
    """A file that preflight wants to be there."""

    @model_validator(mode="after")
    def _squares_are_small(self) -> ToyConfig:
        if self.label == "square" and self.size != 1:
            raise ValueError(f"a square has size 1, not {self.size}")
        return self


def preflight(config: ToyConfig) -> dict[str, str]:
    if config.bad_x is not None:
        raise ValueError(f"bad_x = {config.bad_x}: the toy's data is not there")
    if config.records is not None and not config.records.exists():
        raise ValueError(f"records = {config.records}: no such file")
    if config.data.share < 0.1:
        raise ValueError(f"data.share = {config.data.share}: leaves nothing")
    return {"data_fingerprint": "toy"}


def train(config: ToyConfig, run: Run) -> None:
    """Score rises to 1 - (x - 0.3)^2 over the epochs."""
    resumed = run.resume_from()
    epoch = json.loads((resumed / "state.json").read_text())["epoch"] if resumed else 0
    folder = run.workdir / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    while epoch < config.training.epochs:
        epoch += 1
        time.sleep(config.sleep_s)
        misbehave(config, epoch)
        held = bytearray(config.mb_per_window * config.training.batch_size * 2**20)
        time.sleep(0.5 if held else 0)
        del held
        (folder / "weights").write_bytes(os.urandom(config.checkpoint_kb * 1024))
        (folder / "state.json").write_text(json.dumps({"epoch": epoch}))
        run.report({"epoch": epoch, "final": 0, **scores(config, epoch)}, folder if run.rank == 0 else None)
    artifacts = folder / ARTIFACTS
    artifacts.mkdir(exist_ok=True)
    (artifacts / "model.txt").write_text(f"x = {config.x}")
    (folder / TAGS).write_text(json.dumps({"gate": "accepted"}))
    run.report({"epoch": epoch, "final": 1, **scores(config, epoch)}, folder if run.rank == 0 else None)


def train_and_say_where(config: ToyConfig, run: Run) -> None:
    """The same; each node of a cluster on which it begins leaves a file with its host's name."""
    import ray

    assert config.marks is not None
    (config.marks / f"on-{ray.get_runtime_context().get_node_id()}").write_text(socket.gethostname())
    train(config, run)


def scores(config: ToyConfig, epoch: int) -> dict[str, float]:
    reached = 1 - math.exp(-epoch)
    loss = math.nan if config.nan_at == epoch or (config.fault, epoch) == ("nan", 2) else 1 / epoch
    return {
        "train/loss": loss,
        "dev/f1": reached * (1 - (config.x - 0.3) ** 2),
        "int8/bytes": 1000.0 * config.size,
        "dev/residual": math.nan,
    }


def misbehave(config: ToyConfig, epoch: int) -> None:
    if config.marks:
        with (config.marks / f"x={config.x}").open("a") as file:
            file.write(f"{epoch}\n")
    if config.fail_at == epoch:
        raise RuntimeError("the toy was told to fail")
    if config.die_at == epoch and config.marks and not (config.marks / "died").exists():
        (config.marks / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if config.fault == "full" and epoch == 2 and config.marks and not (config.marks / "full").exists():
        (config.marks / "full").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/checkpoint")
    if epoch == 2:
        go_wrong(config.fault)


def go_wrong(fault: str) -> None:
    if fault == "raise":
        raise RuntimeError("the toy was told to fail")
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "sleep":
        time.sleep(3600)
    hoard = []
    while fault == "hog":
        hoard.append(bytearray(2**24))
        time.sleep(0.02)
        assert len(hoard) < 200, "nobody minds that the toy takes 3 GB"


def plain(config: dict, run: Run) -> None:
    """A user's own loop: a plain dict, no epochs, no checkpoint, no final report."""
    for step in range(3):
        run.report({"score": config["x"] + step})


def together(config: dict, run: Run) -> None:
    """Workers that wait for each other; in the second step rank 1 dies, the first time only, or raises."""
    from torch import distributed

    for step in range(3):
        if step == 1 and run.rank == 1:
            if config["raises"]:
                raise RuntimeError("rank 1 was told to fail")
            died = Path(config["marks"]) / "died"
            if not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        distributed.barrier()
        run.report({"score": step})


def space(trial) -> None:
    trial.suggest_float("x", 0.0, 1.0)


def climb(config: dict, run: Run) -> None:
    """A value that each epoch grows by `rate`, from where the checkpoint left it; the checkpoint knows its `size`."""
    resumed = run.resume_from()
    state = json.loads((resumed / "state.json").read_text()) if resumed else {"epoch": 0, "value": 0.0}
    assert state.get("size", config["size"]) == config["size"], "a checkpoint of another architecture"
    folder = run.workdir / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(state["epoch"] + 1, config["epochs"] + 1):
        time.sleep(config.get("sleep_s", 0))
        value = state["value"] + config["rate"]
        state = {"epoch": epoch, "value": value, "size": config["size"]}
        (folder / "state.json").write_text(json.dumps(state))
        saved = folder if run.rank == 0 and config.get("saves", True) else None
        run.report({"epoch": epoch, "value": value, "final": 0}, saved)
    run.report({"epoch": config["epochs"], "value": state["value"], "final": 1}, folder if run.rank == 0 else None)


def climbing_space(trial) -> None:
    trial.suggest_float("rate", 0.0, 1.0)
    trial.suggest_categorical("size", [1, 2])
