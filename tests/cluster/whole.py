"""What must hold of a sweep's record, whatever happened to it: all of it is there, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.tracking import MlflowClient
from seisweep import load
from toy_trainable import ToyConfig, scores

from cluster.cluster import Cluster


def whole_record(cluster: Cluster, name: str, samples: int, epochs: int) -> pd.DataFrame:
    """The trials of a finished sweep of the toy, read from the laptop; AssertionError where something is missing or
    there twice: a trial, a step, a value, a file."""
    with cluster.from_laptop():
        sweep = load(name, cluster.tracking_uri)
        assert sweep.parent.data.tags["state"] == "finished"
        trials = sweep.trials
        assert list(trials.index) == list(range(samples))
        assert set(trials["state"]) == {"done"}, trials
        client = MlflowClient(tracking_uri=cluster.tracking_uri)
        for number, run in sweep.runs.items():
            x = trials.loc[number, "x"]
            for metric in ("dev/f1", "train/loss"):
                points = client.get_metric_history(run.info.run_id, metric)
                said = sorted((point.step, point.value) for point in points)
                wanted = [(epoch, scores(ToyConfig(x=x), epoch)[metric]) for epoch in range(1, epochs + 1)]
                assert said == wanted, (number, metric)
            assert Path(sweep.artifacts(number), "model.txt").read_text() == f"x = {x}"
            assert sweep.tags(number)["gate"] == "accepted"
        return trials.assign(machine=[run.data.tags["hardware"].partition(":")[0] for run in sweep.runs.values()])


def ledger(cluster: Cluster, home: str, name: str) -> list[dict[str, Any]]:
    """Events of a sweep so far, as its driver writes them down."""
    file = cluster.head.path(f"{home}/sweeps/{name}/ledger.jsonl")
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def checkpoints(cluster: Cluster, home: str, name: str) -> dict[int, int]:
    """Epoch of the last checkpoint of each trial that has one."""
    events = ledger(cluster, home, name)
    return {event["trial"]: event["epoch"] for event in events if event["event"] == "checkpoint"}


def epochs_computed(marks: Path) -> dict[str, list[int]]:
    """By trial, the epochs that the toy computed, in their order."""
    return {file.name: [int(line) for line in file.read_text().split()] for file in marks.iterdir()}
