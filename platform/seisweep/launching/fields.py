"""What a user says of resources and limits, as fields of a sweep and a profile. None: not said, and left as it is."""

from __future__ import annotations


def resource_fields(
    workers: int | None, cpus: float | None, gpus: float | None, memory_gb: float | None
) -> dict[str, float | None]:
    """Fields of a sweep."""
    return {
        "workers": workers,
        "cpus_per_worker": cpus,
        "gpus_per_worker": gpus,
        "memory_gb_per_worker": memory_gb,
    }


def limit_fields(
    retry_oom: bool | None, report_timeout_s: float | None, disk_budget_gb: float | None
) -> dict[str, float | None]:
    """Fields of a profile."""
    return {"retry_oom": retry_oom, "report_timeout_s": report_timeout_s, "disk_budget_gb": disk_budget_gb}
