"""What does the engine cost beside the training? Sweeps of a trial that computes nothing, side by side in one run.

    python benchmarks/sweep_overhead.py [--trials 6] [--rounds 2]   a few minutes: seconds a trial, start, tracking
    python benchmarks/sweep_overhead.py --thousand [1000]           one long sweep: time, memory, `seisweep results`

Seconds a trial are those from the end of the first trial to the end of the last, one at a time: what comes before,
from the call to the first trial under way, is the start. Beside seisweep stand plain Tune function trials with Ray's
own MLflow callback, and Optuna's `optimize` in this process, with MLflow's client as its documentation shows it and
without. Plain Tune runs in seisweep's quiet environment, without the result files and snapshots that it writes
by default. All write into a database of their own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from seisweep.quiet import quiet

quiet()

import mlflow
import one_step
import optuna
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from seisweep.engine.cluster import import_path_shared
from seisweep.engine.launch import launch
from seisweep.engine.outcome import Outcome, TrialRow
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from tracking import FILES, METRICS, PARAMS, TRACKED_EPOCHS, tracked_by_hand, tracked_by_ray, tracked_by_seisweep

from search_spaces.sweep import Sweep

EPOCHS = 2
NAME = "overhead-1"
CONCURRENCY = 2
"""Of the long sweep."""


@dataclass
class Times:
    """When a sweep was asked for, when its trials began and ended; the driver's processor time and memory then."""

    called_s: float = field(default_factory=time.time)
    running_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        return self.running_s[0] - self.called_s

    @property
    def trial_s(self) -> float:
        return (self.ended_s[-1] - self.ended_s[0]) / (len(self.ended_s) - 1)

    def begins(self) -> None:
        self.running_s.append(time.time())

    def ends(self) -> None:
        import psutil  # Ray brings its own

        self.ended_s.append(time.time())
        self.processor_s.append(time.process_time())
        self.resident_bytes.append(psutil.Process().memory_info().rss)


class TimedWatch(Times):
    """As a seisweep watch."""

    def started(self, sweep: Sweep, name: str, num_trials: int | None) -> None:
        self.states: dict[int, str] = {}

    def trial_update(self, row: TrialRow) -> None:
        if self.states.get(row.number) != row.state:
            self.states[row.number] = row.state
            self.begins() if row.state == "running" else self.ends()

    def log(self, line: str) -> None:
        print(line, file=sys.stderr)

    def finished(self, outcome: Outcome) -> None:
        assert {row.state for row in outcome.rows} == {"done"}, outcome.rows


class TimedCallback(tune.Callback):
    """As a Tune callback."""

    def __init__(self, times: Times) -> None:
        self.times = times

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.times.begins()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.times.ends()


def seisweep(home: Home, runner: str, trials: int, epochs: int = EPOCHS, concurrency: int = 1, **fields: Any) -> Times:
    """A sweep with all that belongs to one. `fields` are the base configuration's."""
    sweep = Sweep(
        name="overhead", trainable="one_step:train", space="one_step:space", samples=trials, scheduler="none",
        objectives={one_step.SCORE: "max"}, base={"epochs": epochs, **fields},
    )  # fmt: skip
    times = TimedWatch()
    launch(sweep, Profile(runner=runner), home, name=NAME, concurrency=concurrency, watch=times)
    return times


def plain_tune(home: Home, reuse: bool, trials: int, epochs: int = EPOCHS, concurrency: int = 1) -> Times:
    """The same function in Ray Tune alone, tracked by Ray's own callback."""
    times = Times()
    tracked = MLflowLoggerCallback(tracking_uri=home.prepare_store(), experiment_name="tune", save_artifact=False)
    tune.Tuner(
        one_step.tune_function,
        param_space={"x": tune.uniform(0, 1), "epochs": epochs},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=concurrency, reuse_actors=reuse),
        run_config=tune.RunConfig(
            name="tune", storage_path=str(home.root / "tune"), callbacks=[TimedCallback(times), tracked], verbose=0
        ),
    ).fit()
    return times


def optuna_alone(home: Home, tracked: bool, trials: int) -> Times:
    """The same steps in this process under Optuna's `optimize`."""
    times = Times()
    if tracked:
        mlflow.set_tracking_uri(home.prepare_store())
        mlflow.set_experiment("optuna")

    def objective(trial: optuna.Trial) -> float:
        times.begins()
        config = {"x": trial.suggest_float("x", 0, 1)}
        steps = [one_step.step(config, epoch) for epoch in range(1, EPOCHS + 1)]
        if tracked:
            with mlflow.start_run():
                mlflow.log_params(config)
                for epoch, metrics in enumerate(steps):
                    mlflow.log_metrics(metrics, step=epoch)
        return steps[-1][one_step.SCORE]

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=trials, callbacks=[lambda study, trial: times.ends()])
    return times


def account(times: Times, marks: Path) -> dict[str, float]:
    """Where the time of a Ray Train trial goes, medians in seconds."""
    lines = [json.loads(line) for line in marks.read_text().splitlines()]
    entered, reported = ([line for line in lines if line["what"] == what] for what in ("loop", "reported"))
    stages = zip(times.running_s, entered, reported, times.ended_s, strict=True)
    spans = [
        (
            loop["born_s"] - running,
            loop["time_s"] - loop["born_s"],
            last["time_s"] - loop["time_s"],
            end - last["time_s"],
        )
        for running, loop, last, end in stages
    ]
    names = (
        "Train's controller: process, imports, placement group",
        "the worker: process, imports of Ray and torch, start",
        f"{EPOCHS} reports",
        "last report delivered, workers and controller closed",
    )
    return {name: statistics.median(column) for name, column in zip(names, zip(*spans[1:], strict=True), strict=True)}


def compare(trials: int, rounds: int, fresh_home: Callable[[], Home]) -> None:
    marks = fresh_home().prepare().root / "marks.jsonl"
    few = max(3, trials // 2)
    sides: dict[str, Callable[[], Times]] = {
        "seisweep, in-process trials": lambda: seisweep(fresh_home(), "in-process", trials),
        "seisweep, Ray Train trials": lambda: seisweep(fresh_home(), "ray-train", few, marks=str(marks)),
        "plain Tune, Ray's MLflow callback": lambda: plain_tune(fresh_home(), False, few),
        "the same, actors used again": lambda: plain_tune(fresh_home(), True, trials),
        "Optuna, MLflow": lambda: optuna_alone(fresh_home(), True, trials),
        "Optuna alone": lambda: optuna_alone(fresh_home(), False, trials),
    }
    found: dict[str, list[Times]] = {name: [] for name in sides}
    stages: list[dict[str, float]] = []
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
            if marks.exists():
                stages.append(account(found[name][-1], marks))
                marks.unlink()
    ours = statistics.median(times.trial_s for times in found["seisweep, in-process trials"])
    print(f"{'seconds of the engine, one trial at a time':56} {'start':>7} {'a trial':>8} {'ratio':>7}")
    for name, of_side in found.items():
        start_s, trial_s = (statistics.median(getattr(t, what) for t in of_side) for what in ("start_s", "trial_s"))
        print(f"{name:56} {start_s:7.2f} {trial_s:8.3f} {trial_s / ours:7.2f}")
    print("\nof a Ray Train trial")
    for name in stages[0]:
        print(f"  {name:54} {'':7} {statistics.median(s[name] for s in stages):8.3f}")
    writers = {
        "seisweep": tracked_by_seisweep,
        "Ray's MLflow callback": tracked_by_ray,
        "MLflow by hand": tracked_by_hand,
    }
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for _ in range(rounds + 1):  # the first round warms up
        for name, write in writers.items():
            seconds[name].append(write(fresh_home(), 2))
    print(f"\ntracking a trial: {PARAMS} parameters, {METRICS} metrics x {TRACKED_EPOCHS} epochs, {FILES} files")
    for name, values in seconds.items():
        ratio = statistics.median(values[1:]) / statistics.median(seconds["seisweep"][1:])
        print(f"{name:56} {'':7} {statistics.median(values[1:]):8.3f} {ratio:7.2f}")


def long_sweep(trials: int, fresh_home: Callable[[], Home]) -> None:
    """One step a trial, tracked, two at a time; then the same under Tune alone."""
    home = fresh_home()
    ours = seisweep(home, "in-process", trials, epochs=1, concurrency=CONCURRENCY)
    start_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from seisweep.cli import main; main()", "results", NAME],
        env=os.environ | {"SEISWEEP_HOME": str(home.root)}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    results_s = time.perf_counter() - start_s
    tunes = plain_tune(fresh_home(), True, trials, epochs=1, concurrency=CONCURRENCY)
    print(f"{trials} trials of one step, {CONCURRENCY} at a time, tracked")
    print(f"{'':38} {'':17} {'driver, processor s a trial':>24}")
    print(f"{'':38} {'seconds':>8} {'a trial':>8} {'first tenth':>12} {'last tenth':>11}   memory of the driver, MB")
    tenth = max(2, trials // 10)
    for name, times in (("seisweep", ours), ("plain Tune, Ray's MLflow callback", tunes)):
        first, last = times.processor_s[:tenth], times.processor_s[-tenth:]
        speeds = [(part[-1] - part[0]) / (tenth - 1) for part in (first, last)]
        at = [n for n in (100, 500, 1000) if n < trials] + [trials]
        memory = ", ".join(f"{times.resident_bytes[n - 1] / 2**20:.0f} at {n}" for n in dict.fromkeys(at))
        whole_s = times.ended_s[-1] - times.called_s
        print(f"{name:38} {whole_s:8.1f} {times.trial_s:8.3f} {speeds[0]:12.3f} {speeds[1]:11.3f}   {memory}")
    print(f"seisweep results {NAME}: {results_s:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6, help="of a sweep; Ray Train trials half as many")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--thousand", type=int, nargs="?", const=1000, metavar="TRIALS", help="one long sweep instead")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    start_s = time.perf_counter()
    with import_path_shared():
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    print(f"{'a local Ray':56} {time.perf_counter() - start_s:7.2f}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:

        def fresh_home() -> Home:
            return Home(Path(tempfile.mkdtemp(dir=scratch)))

        if arguments.thousand:
            long_sweep(arguments.thousand, fresh_home)
        else:
            compare(arguments.trials, arguments.rounds, fresh_home)
        ray.shutdown()


if __name__ == "__main__":
    main()
