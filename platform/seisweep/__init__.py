"""seisweep: Ray-distributed hyperparameter sweeps for small seismic models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seisweep.results import SweepResults


def load(name: str, tracking_uri: str | None = None) -> SweepResults:
    """A sweep's trials, curves and files: see `seisweep.results`. Raises ValueError."""
    from seisweep.quiet import quiet

    quiet()  # MLflow's telemetry starts with its import
    from seisweep import results  # pandas and MLflow are not imported before they are needed

    return results.load(name, tracking_uri)
