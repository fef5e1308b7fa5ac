"""Every failure becomes one line, and is told apart by what is to be done about it."""

from __future__ import annotations

import errno
import os

import pytest
import torch
from ray.exceptions import OutOfMemoryError
from seisweep.workers.faults import (
    DivergedError,
    Fault,
    MemoryLimitError,
    StorageError,
    actor_in,
    death_line,
    disk_full_line,
    is_disk_full,
    is_node_lost,
    is_peer_lost,
    one_line,
)

from trainables.fetched import NotFetchedError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("student.pooling = 3 is not allowed"), "student.pooling = 3 is not allowed"),
        (DivergedError("dev/loss is nan at epoch 2"), "dev/loss is nan at epoch 2"),
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_a_trial_raises_is_one_line(error, line):
    kind = "diverged" if isinstance(error, DivergedError) else "error"
    assert Fault.of(error) == (kind, line, "")
    assert one_line(error) == line


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (MemoryError(), "out of memory: take a smaller training.batch_size"),
        (OutOfMemoryError("1 worker(s) were killed"), "out of memory: take"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory: take"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out of GPU memory: take a smaller"),
        (RuntimeError("CUDA error: out of memory"), "out of GPU memory: take a smaller"),
        (MemoryLimitError("over its memory limit: 1.2 GB of 1 GB"), "over its memory limit: 1.2 GB of 1 GB: take"),
    ],
)
def test_a_lack_of_memory_names_its_remedy(error, begins):
    kind, reason, _ = Fault.of(error)
    assert kind == "memory"
    assert reason.startswith(begins)
    assert "--retry-oom" in reason


def test_what_torch_says_when_memory_is_refused():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert Fault.of(caught.value).kind == "memory"


def test_deaths_by_the_memory_monitor_are_told_from_others():
    monitor = "1 worker(s) were killed due to the node running low on memory. Memory on the node was 6.91GB used"
    fault = Fault.of_death(monitor)
    assert fault is not None
    assert fault.kind == "memory"
    assert fault.reason.startswith("out of memory, killed by Ray's memory monitor: take")
    assert Fault.of_death("The actor died unexpectedly before finishing this task.") is None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/state.pt"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        ValueError("data.cache_dir=/c: the windows of split train take 2.0 GB and the disk has 1.0 GB free; use ..."),
    ],
)
def test_a_full_disk_is_nobodys_fault(error):
    assert is_disk_full(error)
    assert Fault.of(error).kind == "disk"


@pytest.mark.parametrize(
    "error",
    [
        StorageError("storage s3://lab/x: nothing answers at http://box:9000"),
        NotFetchedError("data.dataset=s3://lab/x: cannot be fetched: the disk has 0.1 GB free"),
    ],
)
def test_a_place_that_does_not_answer_is_nobodys_fault(error):
    assert Fault.of(error)[:2] == ("storage", str(error))


def test_a_full_disk_is_named():
    assert disk_full_line(OSError(errno.ENOSPC, "No space left on device", "/data/x")) == "disk full at /data/x"
    assert disk_full_line(RuntimeError("No space left on device")) == "disk full"


def test_what_torch_says_on_a_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.fail("this test wants Linux's /dev/full")
    with pytest.raises((RuntimeError, OSError)) as caught:
        torch.save({"weights": torch.zeros(10**6)}, "/dev/full")
    assert is_disk_full(caught.value), caught.value


def user_error(cause: Exception) -> ValueError:
    error = ValueError("trainable mine:train cannot be loaded")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'mine'"),
        user_error(ImportError("libcudart.so.12: cannot open shared object file")),
        OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/shared/data"),
        OSError(errno.EIO, os.strerror(errno.EIO)),
        RuntimeError("Found no NVIDIA driver; the driver on your system is too old (found version 10020)"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    ],
)
def test_what_a_machine_lacks_is_told_from_what_a_trial_does_wrong(error):
    assert Fault.of(error).kind == "node"


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file", "x"), user_error(ValueError("bad")), KeyError("x")]
)
def test_what_would_be_wrong_on_any_machine_is_not_the_machines(error):
    assert Fault.of(error).kind == "error"


DEATH = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: ImplicitFunc\n"
    "\tactor_id: 0123456789abcdef0123456789abcdef\n\tip: 10.0.0.3\nThe actor is dead because its worker process has "
    "died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits. Some common causes include"
)


def test_what_ray_says_of_a_death_becomes_a_line():
    assert death_line(DEATH) == "Worker unexpectedly exits."
    assert actor_in(DEATH) == "0123456789abcdef0123456789abcdef"
    assert (
        death_line("ray::f()\nModuleNotFoundError: No module named 'x'\n") == "ModuleNotFoundError: No module named 'x'"
    )
    assert (death_line(""), actor_in("")) == ("", "")


def test_the_loss_of_a_node_is_told_from_the_death_of_a_process():
    assert is_node_lost("The actor died because its node has died. Node Id: ab")
    assert not is_node_lost(DEATH)


@pytest.mark.parametrize(
    ("reason", "is_lost"),
    [
        ("RuntimeError: [/torch/gloo/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:21", True),
        ("ValueError: the batch is too large", False),
    ],
)
def test_a_worker_that_misses_another_is_not_to_blame(reason, is_lost):
    assert is_peer_lost(reason) is is_lost
