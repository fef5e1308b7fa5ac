"""Room on disk: what must be free to start and to go on, and what the checkpoints of a sweep may take."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from seisweep.record.ledger import Ledger

if TYPE_CHECKING:
    from ray import tune

logger = logging.getLogger(__name__)


class CheckpointBudget:
    """Bytes that the checkpoints of a sweep take, against what they may take."""

    def __init__(self, budget_gb: float | None) -> None:
        self.budget_gb = budget_gb
        self._bytes: dict[str, int] = {}

    def exceeded(self, places: Iterable[str]) -> bool:
        """Whether these checkpoints take more than they may. Each is measured once: it does not change."""
        return self.budget_gb is not None and self.used_bytes(places) > self.budget_gb * 1e9

    def used_bytes(self, places: Iterable[str]) -> int:
        self._bytes = {place: self._bytes.get(place) or checkpoint_bytes(place) for place in places}
        return sum(self._bytes.values())


def checkpoint_bytes(place: str) -> int:
    """Size of a checkpoint's files; 0 where it is gone or its storage does not answer."""
    try:
        if "://" not in place:
            return sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        from pyarrow.fs import FileSelector
        from ray import tune

        checkpoint = tune.Checkpoint(place)
        listed = checkpoint.filesystem.get_file_info(FileSelector(checkpoint.path, recursive=True))
        return sum(info.size or 0 for info in listed)
    except OSError:
        return 0


def checkpoint_place(checkpoint: tune.Checkpoint) -> str:
    """Where a checkpoint lies, as a path or URI that `tune.Checkpoint` takes back."""
    scheme = checkpoint.filesystem.type_name
    return checkpoint.path if scheme == "local" else f"{scheme}://{checkpoint.path}"


def remove_checkpoint(place: str) -> None:
    """Remove a checkpoint that nothing needs any more; a failure costs disk and nothing else."""
    try:
        if "://" not in place:
            shutil.rmtree(place, ignore_errors=True)
        else:
            from ray import tune

            checkpoint = tune.Checkpoint(place)
            checkpoint.filesystem.delete_dir(checkpoint.path)
    except OSError as error:
        logger.warning("checkpoint %s: %s", place, error)


def remove_leftovers(storage: str, ledger: Ledger) -> None:
    """Checkpoints that no trial refers to: half copied when a session died, or Ray Train's own copies."""
    if "://" in storage:
        return
    shutil.rmtree(Path(storage, "train"), ignore_errors=True)
    kept = {place for record in ledger.trials.values() for place in record.kept}
    for folder in Path(storage).glob("session-*/trial-*/checkpoint_*"):
        if str(folder) not in kept:
            shutil.rmtree(folder, ignore_errors=True)
