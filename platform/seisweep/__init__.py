"""seisweep: Ray-distributed hyperparameter sweeps for small seismic models."""
