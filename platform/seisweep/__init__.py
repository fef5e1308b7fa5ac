"""seisweep: Ray-distributed hyperparameter sweeps for small seismic models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from seisweep.results.sweep_results import SweepResults


# pandas and MLflow are not imported before they are needed.


def load(name: str, tracking_uri: str | None = None) -> SweepResults:
    """A sweep's trials, curves and files: see `seisweep.results`. Raises ValueError."""
    from seisweep import results

    return results.load(name, tracking_uri)


def sweeps(tracking_uri: str | None = None) -> pd.DataFrame:
    """What a store holds, the latest first: name, kind, state, trials, best trial and value, when, note."""
    from seisweep import results

    return results.sweeps(tracking_uri)


def join(*sweeps: str | SweepResults, tracking_uri: str | None = None) -> pd.DataFrame:
    """The trials of several sweeps, loaded or by name, as one table with a column `sweep`. Raises ValueError."""
    from seisweep import results

    return results.join(*sweeps, tracking_uri=tracking_uri)
