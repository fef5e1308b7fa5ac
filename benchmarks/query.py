"""How long does a notebook wait for a sweep of a thousand trials? Our queries beside plain MLflow, in one run.

    python benchmarks/query.py [--trials 1000] [--home FOLDER]

The sweep is simulated and its record is real: the engine's own `Tracker` writes trials of the distillation space with
15 metrics x 10 epochs into a local sqlite store. With `--home` it is written once and found there the next time.
Plain MLflow stands beside it as its documentation shows it, `search_runs` and `get_metric_history`; the histories of a
few runs only, and their time is multiplied, which the table says.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seisweep.quiet import quiet

quiet()

import optuna
import seisweep
import seisweep.results  # here, so that their time is seen in that of the command alone
from seisweep.record import tracker
from seisweep.record.ledger import Ledger
from seisweep.settings.home import Home
from seisweep.settings.which_store import own_store

from search_spaces.named import named_sweep
from search_spaces.narrowing import narrowed_space
from trainables import metrics

NAME, EPOCHS = "thousand-1", 10
CURVES = [
    metrics.TRAIN_LOSS, metrics.TASK_LOSS, metrics.DISTILL_LOSS, metrics.LEARNING_RATE, metrics.DEV_LOSS,
    metrics.DEV_F1, *(metrics.picking("dev", phase, name) for phase in "PS" for name in ("f1", "precision", "recall")),
    metrics.EPOCH_TIME_S, metrics.INT8_BYTES, metrics.INT8_LATENCY_MS,
]  # fmt: skip
BY_HAND = 20
"""Runs whose histories plain MLflow fetches."""
FIXED = {"student.dropout": 0.0, "training.patience": 7, "student.pooling": 4}
"""Of the distillation space, so that five keys are searched."""


def write_sweep(home: Home, trials: int) -> None:
    """A finished sweep in the home's store, by the one writer that sweeps have."""
    sweep = named_sweep("distillation").changed(base=FIXED, samples=trials, sampler="random", scheduler="none")
    sweep = sweep.changed(objectives={metrics.DEV_F1: "max", metrics.INT8_BYTES: "min"})
    home.prepare_store()
    writer = tracker.Tracker(own_store(home), sweep, NAME, "simulated", {"versions": "torch 2"})
    ledger = Ledger(home.root / "ledger.jsonl")
    ledger.begin_session()
    writer.begin("simulated", {"sweep": sweep.model_dump(mode="json")}, trials)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(trials):
        trial = study.ask()
        narrowed_space(sweep)(trial)
        writer.trial_begins(ledger.begin_trial(number, trial.params, 0), {})
        for epoch in range(1, EPOCHS + 1):
            report = ledger.report(number, {"epoch": epoch, **simulated(trial.params, epoch, number)})
            assert report is not None
            writer.report(report)
        ledger.end_trial(number, "done")
        writer.trial_ends(ledger.trials[number], None)
    writer.end("finished", ledger.trials[0])
    assert not writer.behind, writer.trouble


def simulated(params: dict[str, Any], epoch: int, number: int) -> dict[str, float]:
    """Metrics of an epoch: better with more channels, near a rate of 1e-3, with a small share of the teacher."""
    rng = random.Random(f"{number} {epoch}")
    rate = math.log10(params["training.learning_rate"]) + 3
    reached = 0.55 + 0.08 * math.log2(params["student.base_channels"]) - 0.2 * rate**2 - 0.1 * params["loss.alpha"]
    values = {name: rng.random() for name in CURVES}
    size = {metrics.INT8_BYTES: 3000.0 + 640 * params["student.base_channels"] ** 2}
    return values | size | {metrics.DEV_F1: reached * (1 - math.exp(-epoch / 3)) + rng.gauss(0, 0.01)}


def processor_s() -> float:
    """Of this process and of the commands that it has run: what other work on the machine does not change."""
    return sum(os.times()[:4])


def timed(what: str, do: Callable[[], Any], factor: float = 1.0, note: str = "") -> Any:
    """Do it, and print how many seconds of wall and of processor it took."""
    start_s, start_cpu_s = time.perf_counter(), processor_s()
    done = do()
    wall_s, cpu_s = (time.perf_counter() - start_s) * factor, (processor_s() - start_cpu_s) * factor
    print(f"{what:58} {wall_s:8.2f} {cpu_s:10.2f}  {note}", flush=True)
    return done


def by_hand(uri: str) -> None:
    """Plain MLflow: a DataFrame of runs, then every history by itself."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    wanted = f"tags.sweep = '{NAME}' and tags.role = 'trial'"
    runs = timed("mlflow.search_runs", lambda: mlflow.search_runs(experiments, wanted))
    client = mlflow.MlflowClient()

    def histories() -> None:
        for run_id in runs["run_id"][:BY_HAND]:
            for name in client.get_run(run_id).data.metrics:
                client.get_metric_history(run_id, name)

    factor = len(runs) / min(BY_HAND, len(runs))
    timed("get_metric_history, run by run and metric by metric", histories, factor, f"{BY_HAND} runs times {factor:g}")


def command(home: Home, *words: str) -> None:
    """A command in a process of its own, as a user waits for it."""
    subprocess.run(
        [sys.executable, "-c", "from seisweep.cli import main; main()", *words],
        env=os.environ | {"SEISWEEP_HOME": str(home.root)}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def measure(home: Home, trials: int) -> None:
    uri = home.mlflow_uri
    print(f"{trials} trials, {len(CURVES)} metrics x {EPOCHS} epochs, {home.database.stat().st_size / 2**20:.0f} MB")
    print(f"{'':58} {'seconds':>8} {'processor':>10}")
    begin_s, begin_cpu_s = time.perf_counter(), processor_s()
    loaded = timed("seisweep.load", lambda: seisweep.load(NAME, uri))
    frame = timed("  .trials", lambda: loaded.trials)
    curves = timed("  .curves()", lambda: loaded.curves())
    print(f"{'  together':58} {time.perf_counter() - begin_s:8.2f} {processor_s() - begin_cpu_s:10.2f}")
    assert frame.shape[0] == trials
    assert curves.shape == (trials * EPOCHS, len(CURVES)), curves.shape
    fresh = seisweep.load(NAME, uri)
    timed("load, one curve of all trials", lambda: fresh.curves(metrics.DEV_F1))
    timed("load, .best()", lambda: seisweep.load(NAME, uri).best())
    timed("load, .pareto()", lambda: seisweep.load(NAME, uri).pareto())
    timed("  .importances(), optuna's import included", lambda: print(loaded.importances().round(3).to_dict()))
    for _ in range(3):
        timed("seisweep results NAME --top 20, start to end", lambda: command(home, "results", NAME, "--top", "20"))
    by_hand(uri)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--home", type=Path, help="where the sweep is kept; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Home((arguments.home or Path(scratch)).resolve())
        if not home.database.exists():
            timed("writing it", lambda: write_sweep(home, arguments.trials))
        measure(home, len(seisweep.load(NAME, home.mlflow_uri).trials))


if __name__ == "__main__":
    main()
