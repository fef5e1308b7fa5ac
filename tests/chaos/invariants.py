"""What must hold of a sweep that was killed and resumed: study, ledger, MLflow and files tell the same story."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient
from optuna.storages.journal import JournalFileBackend, JournalStorage
from victim import artifacts, read_notes


def violations(folder: Path, notes: Path, uri: str, samples: int, epochs: int, scratch: Path) -> list[str]:
    """Each broken promise in a line; empty where the sweep in `folder` is as if nothing had happened."""
    events = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    runs = _runs(uri, folder.name)
    trials = {int(run.data.tags["trial"]): run for run in runs if run.data.tags["role"] == "trial"}
    return [
        *_ledger(events, samples, epochs),
        *_run_list(runs, samples),
        *(line for number, run in trials.items() for line in _metrics(uri, number, run, events)),
        *(line for number, run in trials.items() for line in _artifacts(uri, number, run, events, scratch)),
        *_study(folder / "study.journal", trials, samples),
        *_restarts(events, read_notes(notes)),
        *_leftovers(folder, events),
    ]


def _ledger(events: list[dict[str, Any]], samples: int, epochs: int) -> Iterator[str]:
    if [event["state"] for event in events if event["event"] == "sweep_end"][-1:] != ["finished"]:
        yield "ledger: the sweep is not finished"
    ends = {event["trial"]: event["state"] for event in events if event["event"] == "end"}
    if ends != dict.fromkeys(range(samples), "done"):
        yield f"ledger: trials ended {ends}"
    reports = Counter(
        (event["trial"], int(event["metrics"]["epoch"]), int(event["metrics"]["final"]))
        for event in events
        if event["event"] == "report"
    )
    steps = [*((epoch, 0) for epoch in range(1, epochs + 1)), (epochs, 1)]
    if reports != Counter((number, *step) for number in range(samples) for step in steps):
        yield f"ledger: reports (trial, epoch, final) {sorted(reports.elements())}"


def _runs(uri: str, name: str) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    experiments = [found.experiment_id for found in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.sweep = '{name}'", max_results=1000))


def _run_list(runs: list[Run], samples: int) -> Iterator[str]:
    roles = Counter(run.data.tags["role"] for run in runs)
    if roles != {"sweep": 1, "trial": samples}:
        yield f"MLflow: runs by role {dict(roles)}"
    if len({run.data.tags.get("trial") for run in runs}) < len(runs):
        yield "MLflow: a trial has two runs"
    statuses = Counter(run.info.status for run in runs)
    if statuses != {"FINISHED": samples + 1}:
        yield f"MLflow: statuses {dict(statuses)}"


def _metrics(uri: str, number: int, run: Run, events: list[dict[str, Any]]) -> Iterator[str]:
    """Each step once, with the value and the time of the ledger."""
    client = MlflowClient(tracking_uri=uri)
    mine = [event for event in events if event["event"] == "report" and event["trial"] == number]
    for metric in ("dev/f1", "train/loss"):
        said: dict[bool, list[tuple[int, float, int]]] = {False: [], True: []}
        for event in mine:
            values = event["metrics"]
            said[bool(values["final"])].append((int(values["epoch"]), values[metric], event["time_ms"]))
        for final, name in ((False, metric), (True, f"best/{metric}")):
            wanted = sorted(said[final]) if not final or metric.startswith("dev/") else []
            history = client.get_metric_history(run.info.run_id, name)
            points = [(step, value, time_ms) for step, time_ms, value in sorted(map(_point, history))]
            # One that was interrupted has said its best so far too; where that is the best of all, it is said once.
            found = [point[:2] for point in points[-1:]] if final else points
            if found != ([point[:2] for point in wanted] if final else wanted):
                yield f"MLflow: trial {number} {name} has {points}, the ledger {wanted}"
    began = next(event for event in events if event["event"] == "trial" and event["trial"] == number)
    if run.data.params != {key: str(value) for key, value in began["params"].items()}:
        yield f"MLflow: trial {number} has parameters {run.data.params}, the ledger {began['params']}"
    times = (run.info.start_time, run.info.end_time)
    ended = [event["time_ms"] for event in events if event["event"] == "end" and event["trial"] == number]
    if times != (began["time_ms"], *ended):
        yield f"MLflow: trial {number} lasted {times}, by the ledger {(began['time_ms'], *ended)}"


def _point(point: Metric) -> tuple[int, int, float]:
    """The last of these is the one that MLflow shows."""
    return point.step, point.timestamp, point.value


def _artifacts(uri: str, number: int, run: Run, events: list[dict[str, Any]], scratch: Path) -> Iterator[str]:
    (target := scratch / str(number)).mkdir(parents=True)
    folder = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=uri, dst_path=str(target)))
    params = next(event["params"] for event in events if event["event"] == "trial" and event["trial"] == number)
    there = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    config = there.pop("config.json", b"{}")
    if json.loads(config).get("x") != params["x"]:
        yield f"MLflow: trial {number} has the configuration {config[:200]!r}"
    wanted = artifacts(params["x"])
    if there.keys() != wanted.keys():
        yield f"MLflow: trial {number} has the files {sorted(there)}"
    yield from (f"MLflow: trial {number}: {name} is half there" for name in wanted if there.get(name) != wanted[name])
    if run.data.tags.get("exported") != "whole" or run.data.tags.get("state") != "done":
        yield f"MLflow: trial {number} has the tags {run.data.tags}"


def _study(journal: Path, trials: dict[int, Run], samples: int) -> Iterator[str]:
    storage = JournalStorage(JournalFileBackend(str(journal)))
    asked = optuna.load_study(study_name=None, storage=storage).trials
    if len(asked) != samples:
        yield f"Optuna: {len(asked)} trials"
    for trial in asked:
        run = trials.get(trial.number)
        if run is None or trial.state.name != "COMPLETE" or trial.value != run.data.metrics.get("dev/f1"):
            yield f"Optuna: trial {trial.number} is {trial.state.name} with {trial.values}, MLflow has {run}"


def _restarts(events: list[dict[str, Any]], notes: list[dict[str, Any]]) -> Iterator[str]:
    """A trial goes on at least from the last checkpoint that the ledger knew when it began again."""
    numbers = {event["params"]["x"]: event["trial"] for event in events if event["event"] == "trial"}
    for begin in (said for said in notes if said["event"] == "begin"):
        known = [
            event["epoch"]
            for event in events
            if event["event"] == "checkpoint"
            and event["trial"] == numbers[begin["x"]]
            and event["time_ms"] < begin["time_ms"]
        ]
        if begin["epoch"] < max(known, default=0):
            yield f"trial {numbers[begin['x']]} had a checkpoint of epoch {max(known)}, began again at {begin['epoch']}"


def _leftovers(folder: Path, events: list[dict[str, Any]]) -> Iterator[str]:
    kept = {event["trial"]: str(folder / event["place"]) for event in events if event["event"] == "checkpoint"}
    there = {str(found) for found in (folder / "tune").glob("session-*/trial-*/checkpoint_*")}
    if there != set(kept.values()):
        yield f"disk: checkpoints {sorted(there ^ set(kept.values()))} are too many or missing"
    if (folder / "tune" / "train").exists():
        yield "disk: Ray Train's own copies are still there"
