"""What may vary: Optuna search spaces and the named sweeps built on them."""
