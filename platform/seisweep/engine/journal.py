"""Optuna's journal of a sweep: a file of whole lines, whatever the disk and the power do."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from seisweep.private.optuna import WORK_BEGAN, NoLock

logger = logging.getLogger(__name__)


def has_begun(path: Path) -> bool:
    """Whether a trial has drawn a setting or ended, and not only been enqueued."""
    content = path.read_bytes()
    return any(f'"op_code":{operation},'.encode() in content for operation in WORK_BEGAN)


def _cut_from_bad_line(path: Path) -> None:
    """A killed writer leaves half a line at the end. A full disk used to leave one that the next was glued to, and
    Optuna could not read on from there: nothing behind it counts, and the ledger tells it again."""
    whole_bytes = 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else [], start=1):
        if not _is_whole(line):
            logger.warning("%s: cut from line %d on, which cannot be read", path, number)
            os.truncate(path, whole_bytes)
            return
        whole_bytes += len(line)


def _is_whole(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


class Journal(JournalFileBackend):
    """Optuna's own format, which optuna-dashboard opens. What a full disk or a killed writer tears is cut off, because
    Optuna cannot read past a line that is not whole."""

    def __init__(self, path: Path) -> None:
        _cut_from_bad_line(path)
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
