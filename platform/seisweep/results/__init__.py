"""Results of sweeps as pandas tables and files, read from MLflow and nothing else: `load` is where to begin."""

from seisweep.results.sweep_results import SweepResults, join, load, sweeps

__all__ = ["SweepResults", "join", "load", "sweeps"]
