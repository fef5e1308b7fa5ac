"""What a driver that runs as a job of a cluster knows of that: its environment says it."""

from __future__ import annotations

import os

JOB, AGAIN = "SEISWEEP_JOB", "SEISWEEP_JOB_AGAIN"
"""Variables of the environment: which request of a user the job serves, and whether it is not the first to do so."""


def which() -> str:
    """The request of a user that this process serves as a job; empty where it is none."""
    return os.environ.get(JOB, "")


def is_again() -> bool:
    """Whether an earlier job for the same work has died, which may have begun it."""
    return bool(os.environ.get(AGAIN))
