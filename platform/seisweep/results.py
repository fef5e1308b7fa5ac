"""Results of sweeps as pandas tables and files, read from MLflow and nothing else.

import seisweep.results
sweep = seisweep.results.load("distillation-1")
sweep.trials.sort_values("dev/f1")
sweep.curves("dev/f1", "dev/loss")
sweep.artifacts(sweep.best)
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from seisweep import tags
from seisweep.fields import nearest
from seisweep.home import Home
from seisweep.quiet import quiet
from seisweep.store import search_runs


@dataclass(frozen=True)
class SweepResults:
    """One sweep as its store knows it."""

    name: str
    tracking_uri: str
    parent: Run
    runs: dict[int, Run]
    """The trials' runs by number."""

    @property
    def objectives(self) -> dict[str, str]:
        """Metric to `max` or `min`, the most important first."""
        return json.loads(self.parent.data.tags[tags.OBJECTIVES])

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: state, seed, reason, epochs done, what was searched, the last value of each metric."""
        rows = [
            {
                "trial": number,
                "state": run.data.tags.get(tags.STATE, ""),
                "seed": int(run.data.tags[tags.SEED]),
                "reason": run.data.tags.get(tags.REASON, ""),
                "epoch": int(run.data.tags.get(tags.EPOCHS, 0)),
                "seconds": _seconds(run),
                **{key: _value(text) for key, text in run.data.params.items()},
                **run.data.metrics,
            }
            for number, run in sorted(self.runs.items())
        ]
        columns = ["trial", "state", "seed", "reason", "epoch", "seconds"]
        return pd.DataFrame(rows, columns=None if rows else columns).set_index("trial")

    @property
    def params(self) -> list[str]:
        """Keys that were searched."""
        return list(dict.fromkeys(key for run in self.runs.values() for key in sorted(run.data.params)))

    @property
    def best(self) -> int:
        """Number of the best finished trial by the first objective. Raises ValueError where none finished."""
        metric, direction = next(iter(self.objectives.items()))
        done = [
            (run.data.metrics[metric], number)
            for number, run in self.runs.items()
            if run.data.tags.get(tags.STATE) == "done" and metric in run.data.metrics
        ]
        if not done:
            raise ValueError(f"no trial of {self.name} finished with a {metric}")
        return (max if direction == "max" else min)(done)[1]

    def curves(self, *metrics: str) -> pd.DataFrame:
        """Values by trial and step (the epoch; a final report stands one step later), one column a metric.

        All metrics that vary over epochs where none is named; that takes a query for each trial and metric.
        """
        client = MlflowClient(tracking_uri=self.tracking_uri)
        values: dict[tuple[int, int], dict[str, float]] = {}
        for number, run in sorted(self.runs.items()):
            for metric in metrics or sorted(run.data.metrics):
                for point in client.get_metric_history(run.info.run_id, metric):
                    values.setdefault((number, point.step), {})[metric] = point.value
        index = pd.MultiIndex.from_tuples(values, names=["trial", "step"])
        return pd.DataFrame(list(values.values()), index=index, columns=list(metrics) or None).sort_index()

    def artifacts(self, trial: int) -> Path:
        """Folder of a trial's files; those of a remote store are fetched first. Raises ValueError."""
        run = self._run(trial)
        if (place := urlparse(run.info.artifact_uri)).scheme in ("", "file"):
            return Path(unquote(place.path))
        quiet()
        try:
            return Path(download_artifacts(run_id=run.info.run_id, tracking_uri=self.tracking_uri))
        except (MlflowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"the files of trial {trial} of {self.name} cannot be fetched: {reason}") from None

    def config(self, trial: int) -> dict[str, Any]:
        """The whole configuration of a trial."""
        return json.loads((self.artifacts(trial) / tags.CONFIG_FILE).read_text())

    def tags(self, trial: int) -> dict[str, str]:
        """Facts about a trial in words: versions, data fingerprint, hardware, the gate's reasons."""
        return {key: value for key, value in self._run(trial).data.tags.items() if not key.startswith("mlflow.")}

    def _run(self, trial: int) -> Run:
        if trial not in self.runs:
            raise ValueError(f"{self.name} has no trial {trial}; it has {len(self.runs)}, numbered from 0")
        return self.runs[trial]


def load(name: str, tracking_uri: str | None = None) -> SweepResults:
    """A sweep by name, from this store, else MLFLOW_TRACKING_URI, else the home's. Raises ValueError."""
    uri = _store(tracking_uri)
    client = MlflowClient(tracking_uri=uri)
    parents = {run.data.tags[tags.SWEEP]: run for run in search_runs(client, f"tags.{tags.ROLE} = 'sweep'")}
    if name not in parents:
        raise ValueError(f"no sweep named {name} in {uri}{nearest(name, parents)}")
    parent = parents[name]
    wanted = f"tags.{tags.SWEEP_ID} = '{parent.data.tags[tags.SWEEP_ID]}' and tags.{tags.ROLE} = 'trial'"
    runs = search_runs(client, wanted, parent.info.experiment_id)
    return SweepResults(name, uri, parent, {int(run.data.tags[tags.TRIAL]): run for run in runs})


def sweeps(tracking_uri: str | None = None) -> pd.DataFrame:
    """The sweeps of a store, the latest first: name, kind, state, best trial and value, when, note."""
    uri = _store(tracking_uri)
    rows = []
    for run in search_runs(MlflowClient(tracking_uri=uri), f"tags.{tags.ROLE} = 'sweep'"):
        facts = run.data.tags
        metric = next(iter(json.loads(facts[tags.OBJECTIVES])))
        rows.append(
            {
                "name": facts[tags.SWEEP],
                "kind": facts[tags.KIND],
                "state": facts.get(tags.STATE, ""),
                "objective": metric,
                "best": run.data.metrics.get(metric),
                "best_trial": facts.get(tags.BEST_TRIAL, ""),
                "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
                "note": facts.get(tags.NOTE, ""),
            }
        )
    columns = ["name", "kind", "state", "objective", "best", "best_trial", "started", "note"]
    return pd.DataFrame(rows, columns=columns)


def _store(tracking_uri: str | None) -> str:
    if uri := tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    home = Home.find()
    if not home.database.exists():
        raise ValueError(f"home {home.root} holds no sweeps yet; SEISWEEP_HOME says where another one is")
    return home.mlflow_uri


def _seconds(run: Run) -> float | None:
    return (run.info.end_time - run.info.start_time) / 1000 if run.info.end_time else None


def _value(text: str) -> Any:
    """A parameter's text as the value that it was."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
