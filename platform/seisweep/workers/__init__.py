"""Inside a trial: the processes that train. Nothing here imports MLflow, Optuna or matplotlib."""
