"""Results of sweeps as pandas tables and files, read from MLflow and nothing else.

import seisweep.results
sweep = seisweep.results.load("distillation-1")
sweep.trials.sort_values("dev/f1")
sweep.curves("dev/f1", "dev/loss")
sweep.conditions()
sweep.artifacts(sweep.best)
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd
from mlflow.artifacts import download_artifacts, load_text
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from seisweep import tags
from seisweep.conditions import Baseline, Condition, Measured, as_frame, group
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
    def has_seeds(self) -> bool:
        """Whether its trials ran with several seeds, so that conditions have a spread."""
        return len({run.data.tags[tags.SEED] for run in self.runs.values()}) > 1

    def conditions(self, metric: str | None = None, baseline: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row for each combination of what varied but the seed: seeds, mean, sd and 95 % interval (low, high) of
        a metric, default the first objective; difference from a baseline, with its interval, over the seeds of both.

        `baseline`: settings of the condition to compare with, as `{"model.start": "random"}`; where several
        conditions have them, each of the others is compared with the one that agrees in the rest. Default: the
        sweep's own, else the first condition. Raises ValueError.
        """
        found = self.grouped(metric)
        return as_frame(found, self.baseline(found, baseline))

    def grouped(self, metric: str | None = None) -> list[Condition]:
        """The conditions with each seed's value. Raises ValueError where no trial has the metric."""
        metric = metric or next(iter(self.objectives))
        known = {name for run in self.runs.values() for name in run.data.metrics}
        if known and metric not in known:
            raise ValueError(f"no trial of {self.name} has a metric {metric}{nearest(metric, sorted(known))}")
        return group(
            Measured(
                {key: _value(text) for key, text in run.data.params.items()},
                int(run.data.tags[tags.SEED]),
                run.data.metrics.get(metric) if run.data.tags.get(tags.STATE) == "done" else None,
            )
            for _, run in sorted(self.runs.items())
        )

    def baseline(self, found: Sequence[Condition], settings: Mapping[str, Any] | None = None) -> Baseline:
        """Whom these conditions are compared with. Raises ValueError where none of them has the settings."""
        if settings is not None:
            return Baseline(found, settings)
        return Baseline.usual(found, json.loads(self.parent.data.tags.get(tags.BASELINE, "{}")))

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

    @property
    def exploits(self) -> pd.DataFrame:
        """Of a population: at which epoch which trial took over from which donor, and the settings that it went on
        with. Empty where none did."""
        quiet()
        try:
            return pd.read_csv(StringIO(load_text(f"{self.parent.info.artifact_uri}/{tags.EXPLOITS_FILE}")))
        except (MlflowException, OSError):
            return pd.DataFrame(columns=["epoch", "trial", "donor"])

    def schedule(self, trial: int) -> pd.DataFrame:
        """Of a population: the settings that changed under way, by epoch, as the weights of this trial saw them.

        Up to the epoch at which it took over another trial's weights they are that trial's.
        """
        settings = [name for name in self.run(trial).data.metrics if name.startswith(tags.PBT)]
        curves = self.curves(*settings)
        parts: list[pd.DataFrame] = []
        end = math.inf
        for begin, number in self._descent(trial):
            own = curves[curves.index.get_level_values("trial") == number].droplevel("trial")
            parts.insert(0, own[(own.index > begin) & (own.index <= end)])
            end = begin
        return pd.concat(parts).rename_axis("epoch")

    def _descent(self, trial: int) -> Iterator[tuple[int, int]]:
        """Whose weights they were, backwards: the epoch after which, and the trial."""
        rows = self.exploits.to_dict("records")
        end = math.inf
        while True:
            taken = [(row["epoch"], row["donor"]) for row in rows if row["trial"] == trial and row["epoch"] < end]
            if not taken:
                yield 0, trial
                return
            end, donor = max(taken)
            yield int(end), trial
            trial = int(donor)

    def artifacts(self, trial: int) -> Path:
        """Folder of a trial's files; those of a remote store are fetched first. Raises ValueError."""
        return self._files(self.run(trial), f"trial {trial} of {self.name}")

    @property
    def files(self) -> Path:
        """Folder of the sweep's own files: what it was, and with several seeds `conditions/`. Raises ValueError."""
        return self._files(self.parent, self.name)

    def _files(self, run: Run, whose: str) -> Path:
        if (place := urlparse(run.info.artifact_uri)).scheme in ("", "file"):
            return Path(unquote(place.path))
        quiet()
        try:
            return Path(download_artifacts(run_id=run.info.run_id, tracking_uri=self.tracking_uri))
        except (MlflowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"the files of {whose} cannot be fetched: {reason}") from None

    def config(self, trial: int) -> dict[str, Any]:
        """The whole configuration of a trial."""
        return json.loads((self.artifacts(trial) / tags.CONFIG_FILE).read_text())

    def tags(self, trial: int) -> dict[str, str]:
        """Facts about a trial in words: versions, data fingerprint, hardware, the gate's reasons."""
        return {key: value for key, value in self.run(trial).data.tags.items() if not key.startswith("mlflow.")}

    def run(self, trial: int) -> Run:
        """A trial's MLflow run by its number. Raises ValueError."""
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
    """The sweeps of a store, the latest first: name, kind, state, trials, best trial and value, when, note."""
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
                "trials": facts.get(tags.NUM_TRIALS, ""),
                "objective": metric,
                "best": run.data.metrics.get(metric),
                "best_trial": facts.get(tags.BEST_TRIAL, ""),
                "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
                "note": facts.get(tags.NOTE, ""),
            }
        )
    columns = ["name", "kind", "state", "trials", "objective", "best", "best_trial", "started", "note"]
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
