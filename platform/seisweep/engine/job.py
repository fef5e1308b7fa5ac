"""A job of a Ray cluster that runs a sweep: what Ray says of it, and what that means for the sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

NO_DRIVER_HERE = 91
"""Exit code of a job on a node that lacks what a driver needs; its log says what."""

LOST = "CLUSTER_DIED"
"""Error of a job whose cluster does not know it any more."""
_NEVER_BEGAN = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
SWEEP, KIND, NOTE = "seisweep", "seisweep_kind", "seisweep_note"
REQUEST, AGAIN = "seisweep_request", "seisweep_again"
"""What a job says of itself; the last two: which request of a user it serves, and how many jobs have died over it."""

DOCTOR = "doctor"
"""Kind of a job that looks at its cluster; it is not a sweep."""

State = Literal["pending", "running", "finished", "interrupted", "failed"]


@dataclass(frozen=True)
class Job:
    """A job of a cluster as it stands."""

    id: str
    sweep: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED, as Ray has it."""
    entrypoint: str
    kind: str = ""
    note: str = ""
    request: str = ""
    """Which request of a user it serves; those that are submitted again serve the same."""
    again: int = 0
    """How many of these have died before."""
    driver_exit_code: int | None = None
    error: str = ""
    message: str = ""
    node: str | None = None
    started_ms: int = 0

    @classmethod
    def of(cls, details: JobDetails) -> Job | None:
        """None where it is none of seisweep."""
        said = details.metadata or {}
        if SWEEP not in said or not details.submission_id:
            return None
        return cls(
            id=details.submission_id,
            sweep=said[SWEEP],
            status=str(details.status),
            entrypoint=details.entrypoint,
            kind=said.get(KIND, ""),
            note=said.get(NOTE, ""),
            request=said.get(REQUEST, ""),
            again=int(said.get(AGAIN, 0)),
            driver_exit_code=details.driver_exit_code,
            error=details.error_type or "",
            message=_in_one_line(details),
            node=details.driver_node_id,
            started_ms=details.start_time or 0,
        )

    @property
    def number(self) -> int:
        return int(self.id.rpartition("-")[2])

    @property
    def is_over(self) -> bool:
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def has_died(self) -> bool:
        """With its node, or killed: nobody has asked it to end, and it had nothing to say."""
        if self.status != "FAILED" or self.error in _NEVER_BEGAN:
            return False
        return self.driver_exit_code is None or not 0 <= self.driver_exit_code <= 128

    @property
    def found_no_place(self) -> bool:
        """The node that it came to cannot run drivers."""
        return self.status == "FAILED" and self.driver_exit_code == NO_DRIVER_HERE

    @property
    def exit_code(self) -> int:
        """That of the sweep's command; of a job that never began 2, as of whatever is known before work starts."""
        if self.status == "SUCCEEDED":
            return 0
        if self.error in _NEVER_BEGAN or self.found_no_place:
            return 2
        return self.driver_exit_code if self.driver_exit_code in (1, 2, 3) else 1

    @property
    def state(self) -> State:
        """As a user has it of sweeps."""
        if not self.is_over:
            return "pending" if self.status == "PENDING" else "running"
        if self.status == "SUCCEEDED" or self.exit_code == 3:
            return "finished"
        return "interrupted" if self.status == "STOPPED" or self.has_died else "failed"


def _in_one_line(details: JobDetails) -> str:
    """What Ray says of a job's end; of a driver that ended by itself without its log, which follows it there."""
    said = details.message or ""
    if not (details.error_type or "").endswith("DIED"):
        said = said.split("\n", 1)[0]
    return " ".join(said.split())[:1000]
