"""Optuna's journal of a sweep: a file of whole lines, whatever the disk and the power do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from seisweep.private.optuna import NoLock
from seisweep.record.ledger import cut_torn_line

SET_TRIAL_PARAM, SET_TRIAL_STATE = 5, 6
"""Of the operations in a journal, as Optuna writes them."""


def has_begun(path: Path) -> bool:
    """Whether a trial has drawn a setting or ended, and not only been enqueued."""
    content = path.read_bytes()
    return any(f'"op_code":{operation},'.encode() in content for operation in (SET_TRIAL_PARAM, SET_TRIAL_STATE))


class Journal(JournalFileBackend):
    """Optuna's own format, which optuna-dashboard opens. What a full disk or a killed writer tears is cut off, because
    Optuna cannot read past a line that is not whole."""

    def __init__(self, path: Path) -> None:
        cut_torn_line(path)
        self.path = path
        super().__init__(str(path), lock_obj=NoLock())

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """All of them or none. Raises OSError."""
        before_bytes = self.path.stat().st_size
        try:
            super().append_logs(logs)
        except OSError:
            with self.path.open("r+b") as file:
                file.truncate(before_bytes)
            raise
