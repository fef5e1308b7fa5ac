"""Names of Ray, Optuna and MLflow that are not public, one file a library: an upgrade has one place to fail.

Each file says in `USES` what it takes and what for; the tests look whether all of it is still there.
"""
