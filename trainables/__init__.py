"""The science: models, data, losses, training and export. Runs without Ray, Optuna or MLflow."""
