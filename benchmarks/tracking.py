"""What tracking costs a trial: seisweep's writer, Ray's callback, MLflow by hand. For `sweep_overhead.py`."""

from __future__ import annotations

import time
from pathlib import Path

import mlflow
from ray.air.integrations.mlflow import MLflowLoggerCallback
from seisweep.record import tracker, writing_line
from seisweep.record.ledger import Ledger
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from search_spaces.sweep import Sweep

PARAMS, METRICS, TRACKED_EPOCHS, FILES = 25, 15, 30, 5
FILE_BYTES = 200_000


def tracked_by_seisweep(home: Home, trials: int) -> float:
    """Seconds a trial of the tracker, each epoch written by itself as in a training of more than a second an epoch."""
    writing_line.FLUSH_EVERY_S = 0.0
    params, reports, files = things_to_track(home)
    sweep = Sweep(name="tracked", trainable="one_step:train", space="one_step:space", samples=1)
    home.prepare_store()
    writer = tracker.Tracker(own_store(home), sweep, "tracked-1", "id", {})
    ledger = Ledger(home.root / "ledger.jsonl")
    ledger.begin_session()
    writer.begin("", {})
    start_s = time.perf_counter()
    for number in range(trials):
        writer.trial_begins(ledger.begin_trial(number, params, 0), params)
        for epoch, metrics in enumerate(reports, start=1):
            report = ledger.report(number, {"epoch": epoch, **metrics})
            assert report is not None
            writer.report(report)
        ledger.end_trial(number, "done")
        writer.trial_ends(ledger.trials[number], files)
    seconds = (time.perf_counter() - start_s) / trials
    assert not writer.behind, writer.trouble
    return seconds


class AsTuneKnowsIt:
    """What Ray's callback asks of a trial."""

    def __init__(self, number: int, config: dict[str, float], local_path: str) -> None:
        self.trial_id, self.config, self.local_path = str(number), config, local_path


def tracked_by_ray(home: Home, trials: int) -> float:
    """The same by Ray's callback, called as Tune calls it."""
    params, reports, files = things_to_track(home)
    callback = MLflowLoggerCallback(tracking_uri=home.prepare_store(), experiment_name="tracked", save_artifact=True)
    callback.setup()
    start_s = time.perf_counter()
    for number in range(trials):
        trial = AsTuneKnowsIt(number, params, str(files / "artifacts"))
        callback.log_trial_start(trial)
        for epoch, metrics in enumerate(reports, start=1):
            callback.log_trial_result(epoch, trial, {"training_iteration": epoch, **metrics})
        callback.log_trial_end(trial)
    return (time.perf_counter() - start_s) / trials


def tracked_by_hand(home: Home, trials: int) -> float:
    """The same with MLflow's functions, as its documentation shows them."""
    params, reports, files = things_to_track(home)
    mlflow.set_tracking_uri(home.prepare_store())
    mlflow.set_experiment("tracked")
    start_s = time.perf_counter()
    for _ in range(trials):
        with mlflow.start_run():
            mlflow.log_params(params)
            for epoch, metrics in enumerate(reports, start=1):
                mlflow.log_metrics(metrics, step=epoch)
            mlflow.log_artifacts(str(files / "artifacts"))
    return (time.perf_counter() - start_s) / trials


def things_to_track(home: Home) -> tuple[dict[str, float], list[dict[str, float]], Path]:
    """Parameters, metrics of each epoch, and a checkpoint's folder with files for people."""
    folder = home.root / "checkpoint"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    for n in range(FILES):
        (folder / "artifacts" / f"file_{n}").write_bytes(bytes(FILE_BYTES))
    reports = [{f"dev/m{n}": epoch / (n + 1) for n in range(METRICS)} for epoch in range(TRACKED_EPOCHS)]
    return {f"p{n}": n / 7 for n in range(PARAMS)}, reports, folder
