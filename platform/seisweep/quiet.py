"""Ray, Optuna and MLflow without noise and without telemetry. Call `quiet` before any of them is imported.

What they have to say at warning level or above goes into the sweep's log file; the screen belongs to seisweep.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from pathlib import Path

ENVIRONMENT = {
    # Tune: no tables, no result files beside the ledger, no snapshots of its own (a sweep is resumed from the
    # ledger and the study), no handler of Ctrl-C (the engine has one), no tracebacks on the screen.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # An actor that is used again first waits for the trial before it to leave.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A process more for each trial, which warns of nodes about to leave: each epoch has its checkpoint anyway.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # What the raylet says of its worker processes would go to standard output, among the results.
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Where a run on a server ends it would print two links to standard output, among the results.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A server that does not answer must not hold the driver for minutes: the ledger keeps what it misses.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}

NOISY = ("ray", "mlflow", "optuna", "alembic", "py.warnings", "urllib3")


def quiet() -> None:
    """Set what the libraries read when they are imported; a value that the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)  # what else one might install for a notebook
    warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, in a notebook without its widgets


ANALYSIS = "ray.tune.analysis.experiment_analysis"


class _LogFile(logging.FileHandler):
    """A log that a full disk cannot take ends nothing, and says nothing on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class LibraryLog:
    """While it is open, what libraries and seisweep itself log goes into a file and not to the screen."""

    def __init__(self, file: Path) -> None:
        self.handler = _LogFile(file, delay=True)
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._captures = False
        self._before: list[tuple[logging.Logger, list[logging.Handler], bool, int]] = []

    def __enter__(self) -> LibraryLog:
        shown_by = warnings.showwarning
        logging.captureWarnings(True)
        self._captures = warnings.showwarning is not shown_by
        loggers = [logging.getLogger(name) for name in (*NOISY, "seisweep", ANALYSIS)]
        for name, logger in logging.Logger.manager.loggerDict.items():  # "ray.tune.x" may have its own handlers
            if isinstance(logger, logging.Logger) and name.partition(".")[0] in NOISY and logger.handlers:
                loggers.append(logger)
        for logger in dict.fromkeys(loggers):
            self._before.append((logger, logger.handlers, logger.propagate, logger.level))
            top = "." not in logger.name or logger.name == "py.warnings"
            logger.handlers, logger.propagate = [self.handler] if top else [], not top
            if logger.name == "seisweep":
                logger.setLevel(logging.INFO)
            elif top:
                logger.setLevel(logging.WARNING)
        # At its end Tune looks for result files that the ledger has made superfluous.
        logging.getLogger(ANALYSIS).setLevel(logging.ERROR)
        return self

    def __exit__(self, *exc: object) -> None:
        for logger, handlers, propagate, level in self._before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        if self._captures:  # not where the process does so by itself
            logging.captureWarnings(False)
        self.handler.close()


def ignore_library_warnings() -> None:
    """In a worker: no warnings of libraries that a user cannot act on."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
