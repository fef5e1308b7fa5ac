"""Results of sweeps as pandas tables and files, read from MLflow and nothing else: `load` is where to begin."""

from seisweep.results.loading import join, load, load_from, sweeps
from seisweep.results.sweep_results import SweepResults

__all__ = ["SweepResults", "join", "load", "load_from", "sweeps"]
