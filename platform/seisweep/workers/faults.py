"""What went wrong in a trial, told apart by what is to be done about it, in one line that a user can use."""

from __future__ import annotations

import errno
import re
from typing import Any, Literal, NamedTuple

from ray.exceptions import OutOfMemoryError

from trainables.fetched import NotFetchedError

Kind = Literal["error", "diverged", "memory", "disk", "node", "storage"]

OUT_OF_MEMORY = "out of memory"
OUT_OF_GPU_MEMORY = "out of GPU memory"
DISK_FULL = "disk full"
DIED_TWICE = "its process died twice"
REMEDIES = {
    OUT_OF_MEMORY: "take a smaller training.batch_size, a smaller model, gradient checkpointing "
    "(model.gradient_checkpointing=true of an xLSTM), fewer trials at a time (--concurrency), or --retry-oom",
    OUT_OF_GPU_MEMORY: "take a smaller training.batch_size, a smaller model, gradient checkpointing "
    "(model.gradient_checkpointing=true of an xLSTM), fewer trials on each GPU, or --retry-oom",
}

_NO_MEMORY = re.compile(
    "DefaultCPUAllocator: (can't allocate memory|not enough memory)|std::bad_alloc|OOM kill reason: "
    "|killed due to (the node running low on memory|memory pressure)"
)
_NO_GPU_MEMORY = re.compile("CUDA out of memory|CUDA error: out of memory|CU(BLAS|DNN)_STATUS_ALLOC_FAILED")
_NO_SPACE = re.compile(
    r"No space left on device|\[?Errno 28\b|Disk quota exceeded|database or disk is full"
    # What torch.save says where a file cannot take all that is written: it does not pass on the system's reason.
    r"|PytorchStreamWriter failed writing|unexpected pos \d+ vs|the disk has [\d.]+ GB free"
)
_NO_GPU = re.compile(
    "no CUDA-capable device|CUDA-capable device\\(s\\) is/are busy|CUDA driver version is insufficient"
    "|driver on your system is too old|[Uu]ncorrectable ECC error|CUDA error: unknown error"
)
_OF_THE_MACHINE = (errno.EIO, errno.EROFS, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETUNREACH)
"""What the system says of a disk or a mount that is broken, or of a network that is away."""
_NODE_LOST = re.compile("its node has died|[Nn]ode (was|has been|is) (terminated|dead|drained|preempted)|node failure")
_PEER_LOST = re.compile(
    "[Cc]onnection (was )?(closed|reset|refused)|[Bb]roken pipe|Socket (closed|Timeout)|NCCL error.*(remote|system)"
)
_DETAIL = re.compile(r"(?:Worker exit detail|[Dd]eath details?): (.+)")


class DivergedError(ArithmeticError):
    """A loss or an objective is no longer a number."""


class MemoryLimitError(MemoryError):
    """The trial took more memory than it may."""


class StorageError(RuntimeError):
    """The place of the checkpoints did not answer for as long as it was asked again, or took nothing."""


class Fault(NamedTuple):
    """Why a trial cannot go on: `error` and `diverged` fail it, `memory` may try a smaller batch; `disk`, `node` (the
    machine lacks something) and `storage` are not its own fault."""

    kind: Kind
    reason: str
    node: str = ""
    """Ray's id of the node where it happened, where that is known."""

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, StorageError | NotFetchedError):
            return cls("storage", _first_line(error))
        if is_disk_full(error):
            return cls("disk", disk_full_line(error))
        if _NO_GPU_MEMORY.search(text):
            return cls("memory", f"{OUT_OF_GPU_MEMORY}: {REMEDIES[OUT_OF_GPU_MEMORY]}")
        if isinstance(error, MemoryLimitError):
            return cls("memory", f"{error}: {REMEDIES[OUT_OF_MEMORY]}, or a larger limit (--memory)")
        if isinstance(error, MemoryError | OutOfMemoryError) or _NO_MEMORY.search(text):
            return cls("memory", f"{OUT_OF_MEMORY}: {REMEDIES[OUT_OF_MEMORY]}")
        if isinstance(error, DivergedError):
            return cls("diverged", _first_line(error))
        return cls("node" if is_of_the_machine(error) else "error", _first_line(error))

    @classmethod
    def of_death(cls, text: str) -> Fault | None:
        """Of what Ray says about a process that died: its memory monitor names itself; None for any other death."""
        if _NO_MEMORY.search(text):
            return cls("memory", f"{OUT_OF_MEMORY}, killed by Ray's memory monitor: {REMEDIES[OUT_OF_MEMORY]}")
        return None


def one_line(error: BaseException) -> str:
    """The reason of a failure as a user can use it: kind, first line, and the remedy where it is known."""
    return Fault.of(error).reason


def is_of_the_machine(error: BaseException) -> bool:
    """Whether another machine might do better: a module, a disk, a network or a GPU that is not there."""
    if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno in _OF_THE_MACHINE):
        return True
    if error.__cause__ is not None and is_of_the_machine(error.__cause__):
        return True
    return bool(_NO_GPU.search(str(error)))


def is_node_lost(text: str) -> bool:
    """Whether Ray says of a process that its whole node is gone."""
    return bool(_NODE_LOST.search(text))


def is_peer_lost(reason: str) -> bool:
    """Whether a worker says that another one, with which it trains, does not answer any more."""
    return bool(_PEER_LOST.search(reason))


def actor_in(text: str) -> str:
    """Id of the actor that Ray speaks of; empty where it names none."""
    found = re.search(r"actor_id[:=] ?([0-9a-f]{32})", text)
    return found[1] if found else ""


def death_line(text: str) -> str:
    """What Ray says about a process that died, in one line; empty where it says nothing."""
    if found := _DETAIL.search(text):
        return " ".join(found[1].partition(" Some common causes")[0].split())[:200]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    about = [line for line in lines if line.startswith("The actor is dead because")]
    return (about or lines or [""])[-1][:200]


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk is full or its quota used up, whoever noticed it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return bool(_NO_SPACE.search(f"{type(error).__name__}: {error}"))


def disk_full_line(error: Any) -> str:
    """`disk full at FILE`, where the file is known."""
    if isinstance(error, ValueError):  # a check before the writing, which says more than the system would
        return _first_line(error)
    named = getattr(error, "filename", None)
    if not named and (found := re.search(r"No space left on device: '([^']+)'", str(error))):
        named = found[1]
    return f"{DISK_FULL} at {named}" if named else DISK_FULL


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, DivergedError | StorageError | ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
