"""What is written: the ledger of a sweep, and its runs in MLflow."""
