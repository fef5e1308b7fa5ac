"""pick-benchmark's three tasks by name. Nothing else is imported: the command line reads it at every start."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """What is judged."""

    DETECTION = "event-detection"
    IDENTIFICATION = "phase-identification"
    ONSET = "onset-time"
