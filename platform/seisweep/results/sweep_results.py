"""One sweep as pandas tables and files, read from MLflow and nothing else.

import seisweep
sweep = seisweep.load("distillation-1")  # from SEISWEEP_HOME; load(NAME, "http://server:5000") from a server
sweep.trials.sort_values("dev/f1")
sweep.curves("dev/f1", "dev/loss")
sweep.pareto("dev/f1", "int8/bytes")
sweep.importances()
sweep.conditions()
sweep.artifacts(sweep.best())
seisweep.join("distillation-1", "distillation-2")

A sweep is read when it is first asked for something, and then remembered: load it again to see what has come since.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from search_spaces.sweep import Confirms, Sweep
from seisweep.record import tags
from seisweep.record.gc_pause import no_collections
from seisweep.results import tables
from seisweep.results.best_and_last import by_epoch, of_best_weights
from seisweep.results.files import files_of, missing
from seisweep.results.runs import Reader, Run, with_places
from seisweep.settings.earlier import as_it_was
from seisweep.settings.fields import nearest
from seisweep.settings.places import NOWHERE_ELSE, Places
from seisweep.statistics import pareto
from seisweep.statistics.objective import DONE, Objective, Standing

if TYPE_CHECKING:
    import optuna

    from seisweep.statistics.conditions import Baseline, Condition
    from seisweep.statistics.distributions import Distributions


class SweepResults:
    """One sweep as its store knows it."""

    def __init__(self, name: str, reader: Reader, parent: Run, places: Places = NOWHERE_ELSE) -> None:
        """`places`: where what its settings name lies now."""
        self.name, self.tracking_uri, self.places = name, reader.uri, places
        self.parent = with_places(parent, places)
        self._reader = reader
        self._curves: dict[tuple[str, ...], pd.DataFrame] = {}
        self._fetched: dict[str, Path] = {}

    def __repr__(self) -> str:
        return f"<sweep {self.name} of {self.tracking_uri}>"

    @cached_property
    def runs(self) -> dict[int, Run]:
        """The trials' runs by number, with their tags, parameters and metrics under MLflow's own names: those of the
        best weights, of a trial that is not over the last ones."""
        with no_collections():
            found = self._reader.trials(self.parent)
        here = [of_best_weights(with_places(run, self.places)) for run in found]
        return dict(sorted((int(run.data.tags[tags.TRIAL]), run) for run in here))

    @property
    def objectives(self) -> dict[str, str]:
        """Metric to `max` or `min`, the most important first."""
        return json.loads(self.parent.data.tags[tags.OBJECTIVES])

    @property
    def objective(self) -> Objective:
        """The first objective, by which trials are ranked."""
        return Objective.first(self.objectives)

    @property
    def first_objective(self) -> tuple[str, str]:
        """Metric and direction of the first objective."""
        return self.objective.metric, self.objective.direction

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial, by number: what was searched, then state, seed, reason, epochs done, seconds, the last
        value of each metric.

        Columns are typed: whole numbers stay whole, with pandas' nullable types where some trials have none.
        """
        return self._trials.copy(deep=False)

    @cached_property
    def _trials(self) -> pd.DataFrame:
        frame = tables.trials_frame([tables.row_of(run) for run in self.runs.values()], self.params)
        return frame.set_axis(pd.Index(list(self.runs), name="trial", dtype="int64"))

    @property
    def params(self) -> list[str]:
        """Keys that were searched."""
        return tables.varied_keys(list(self.runs.values()))

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics that some trial has."""
        return sorted({name for run in self.runs.values() for name in run.data.metrics})

    @property
    def has_seeds(self) -> bool:
        """Whether its trials ran with several seeds, so that conditions have a spread."""
        return len({run.data.tags[tags.SEED] for run in self.runs.values()}) > 1

    @property
    def confirms(self) -> Confirms | None:
        """With a sweep by `confirm`: the sweep whose best trials it trained again, and these trials; else None."""
        said = self.parent.data.tags.get(tags.CONFIRMED)
        return Confirms.model_validate_json(said) if said else None

    @property
    def confirmed_by(self) -> list[str]:
        """Names of the sweeps that trained the best trials of this one again, the latest first."""
        parents = self._reader.sweeps()
        return [run.data.tags[tags.SWEEP] for run in parents if run.data.tags.get(tags.CONFIRMS) == self.name]

    def conditions(self, metric: str | None = None, baseline: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row for each combination of what varied but the seed: seeds, mean, sd and 95 % interval (low, high) of
        a metric, default the first objective; difference from a baseline, with its interval, over the seeds of both.

        `baseline`: settings of the condition to compare with, as `{"model.start": "random"}`; where several
        conditions have them, each of the others is compared with the one that agrees in the rest. Default: the
        sweep's own, else the first condition. Raises ValueError.
        """
        from seisweep.statistics.conditions import as_frame

        found = self.grouped(metric)
        return as_frame(found, self.baseline(found, baseline))

    def grouped(self, metric: str | None = None) -> list[Condition]:
        """The conditions with each seed's value. Raises ValueError where no trial has the metric."""
        from seisweep.statistics.conditions import Measured, group

        metric = metric or self.objective.metric
        self._check(metric)
        return group(
            Measured(
                tables.params_of(run),
                tables.seed_of(run),
                run.data.metrics.get(metric) if run.data.tags.get(tags.STATE) == "done" else None,
            )
            for run in self.runs.values()
        )

    def baseline(self, found: Sequence[Condition], settings: Mapping[str, Any] | None = None) -> Baseline:
        """Whom these conditions are compared with. Raises ValueError where none of them has the settings."""
        from seisweep.statistics.conditions import Baseline

        if settings is not None:
            return Baseline(found, settings)
        return Baseline.usual(found, json.loads(self.parent.data.tags.get(tags.BASELINE, "{}")))

    def best(self, metric: str | None = None) -> int:
        """Number of the best finished trial by a metric, default the first objective. Raises ValueError.

        Whether more of another metric is better, its name says (`dev/loss`), else you: `my/score:max`.
        """
        (objective,) = self.named_objectives(metric)
        self._finished(objective.metric)  # or a ValueError that says why there is none
        best = objective.best(self.runs, self.standing(objective))
        assert best is not None, "some trial finished with a value"
        return best

    def ranked(self, metric: str | None = None) -> list[int]:
        """Numbers of all trials, the best first: those that finished, then those stopped early or not over by their
        last report, failed ones last. A metric whose direction nobody knows has small values first."""
        objective = Objective.to_sort_by(metric, self.objectives) if metric else self.objective
        return objective.order(self.runs, self.standing(objective))

    def finished(self) -> list[int]:
        """Numbers of the trials that finished with the first objective, the best first."""
        metric = self.objective.metric
        return [
            number
            for number in self.ranked()
            if self.state(number) == DONE and math.isfinite(self.runs[number].data.metrics.get(metric, math.nan))
        ]

    def state(self, trial: int) -> str:
        """done, stopped, failed, interrupted or running."""
        return self.runs[trial].data.tags.get(tags.STATE, "running")

    def standing(self, objective: Objective) -> Callable[[int], Standing]:
        """What a trial's place among the others follows from, by its number."""
        return lambda number: Standing(self.state(number), self.runs[number].data.metrics.get(objective.metric), number)

    def pareto(self, *objectives: str) -> pd.DataFrame:
        """The rows of `trials` that no other finished trial dominates, by these metrics (default the sweep's
        objectives); the best by the first one come first. Raises ValueError."""
        return self.trials.loc[self.front(self.named_objectives(*objectives))]

    def front(self, wanted: Sequence[Objective]) -> list[int]:
        """Numbers of these trials, as `pareto` has them. Raises ValueError."""
        finished = self._finished(*(objective.metric for objective in wanted))
        losses = [
            tuple(objective.loss(value) for objective, value in zip(wanted, row, strict=True))
            for row in finished.values()
        ]
        front = pareto.on_the_front(losses)
        kept = [pair for pair, stays in zip(zip(losses, finished, strict=True), front, strict=True) if stays]
        return [number for _, number in sorted(kept)]

    def importances(self, metric: str | None = None) -> pd.Series:
        """How much each setting matters for being among the best trials by a metric (default the first objective), as
        shares, the largest first: Optuna's PED-ANOVA on the finished runs. Raises ValueError where they are too few.
        """
        from seisweep.results.as_study import proposals
        from seisweep.statistics.importances import importances

        (objective,) = self.named_objectives(metric)
        finished = self._finished(objective.metric)
        params, drawn, _ = proposals(self, finished)
        return importances(params, [value for (value,) in finished.values()], objective, drawn)

    def study(self) -> optuna.Study:
        """The sweep as an Optuna study, for Optuna's own plots and optuna-dashboard. In memory, a copy."""
        from seisweep.results.as_study import study_of

        return study_of(self)

    @cached_property
    def distributions(self) -> Distributions | None:
        """From what its trials' settings were drawn; None where the record does not say it."""
        from seisweep.results.as_study import recorded_distributions

        return recorded_distributions(self)

    def named_objectives(self, *metrics: str | None) -> list[Objective]:
        """Metrics that a user names, with their directions; `named_objectives(None)` is the first objective,
        `named_objectives()` all of the sweep's. Raises ValueError."""
        named = [metric for metric in metrics if metric]
        if not named:
            objectives = Objective.all(self.objectives)
            return objectives[:1] if metrics else objectives
        self._check(*(metric.removesuffix(":max").removesuffix(":min") for metric in named))
        return [Objective.named(metric, self.objectives) for metric in named]

    @cached_property
    def definition(self) -> Sweep | None:
        """The `Sweep` as it was launched; None if the record does not have it."""
        try:
            return Sweep.model_validate(self.read_json(self.files / tags.SWEEP_FILE)["sweep"])
        except (OSError, ValueError, KeyError):
            return None

    def curves(self, *metrics: str) -> pd.DataFrame:
        """Values by trial and step (the epoch), one column a metric.

        All metrics where none is named. A database is asked once for all of them (MLflow's table `metrics`), a
        server once for each metric of a hundred trials. Raises ValueError where no trial has such a metric.
        """
        self._check(*metrics)
        if metrics not in self._curves:
            by_id = {run.info.run_id: run for run in self.runs.values()}
            numbers = {run.info.run_id: number for number, run in self.runs.items()}
            with no_collections():
                points = list(by_epoch(self._reader.points(self.parent, by_id, metrics or self.metrics), by_id))
                self._curves[metrics] = tables.curves_frame(points, numbers, metrics)
        return self._curves[metrics].copy(deep=False)

    @property
    def exploits(self) -> pd.DataFrame:
        """With pbt: which trial took over the weights of which donor, at which epoch, and the settings that it went on
        with. Empty if none did."""
        try:
            return pd.read_csv(self.files / tags.EXPLOITS_FILE)
        except (ValueError, OSError):
            return pd.DataFrame(columns=["epoch", "trial", "donor"])

    def schedule(self, trial: int) -> pd.DataFrame:
        """With pbt: the settings that changed during training, by epoch, as the weights of this trial were trained.

        Up to the epoch at which it took over another trial's weights they are that trial's.
        """
        settings = [name for name in self.run(trial).data.metrics if name.startswith(tags.PBT)]
        return tables.along_descent(self.curves(*settings), self.exploits, trial)

    def artifacts(self, trial: int) -> Path:
        """Folder of a trial's files; those of a remote store are fetched first. Raises ValueError."""
        return self._files_of(self.run(trial), f"trial {trial} of {self.name}")

    @property
    def files(self) -> Path:
        """Folder of the sweep's own files: its definition, and with several seeds `conditions/`. Raises ValueError."""
        return self._files_of(self.parent, self.name)

    def _files_of(self, run: Run, whose: str) -> Path:
        """Fetched once."""
        known = self._fetched.get(run.info.run_id)
        if known is None or not known.is_dir():
            known = self._fetched[run.info.run_id] = files_of(run, whose, self.tracking_uri)
        return known

    def config(self, trial: int) -> dict[str, Any]:
        """The whole configuration of a trial, with paths to where its files are now."""
        return as_it_was(self.read_json(self.artifacts(trial) / tags.CONFIG_FILE))

    def read_json(self, file: Path) -> Any:
        """A file of the record, its places as they are now."""
        return self.places.everywhere(json.loads(file.read_text()))

    def missing_files(self) -> str:
        """Of which finished trials, or of the sweep itself, the files are gone, in one line; empty where of none."""
        finished = {f"trial {number}": run for number, run in self.runs.items() if self.state(number) == DONE}
        return missing(finished | {self.name: self.parent})

    def tags(self, trial: int) -> dict[str, str]:
        """Tags of a trial: versions, data fingerprint, hardware, the gate's reasons."""
        return {key: value for key, value in self.run(trial).data.tags.items() if not key.startswith("mlflow.")}

    def run(self, trial: int) -> Run:
        """A trial's MLflow run by its number. Raises ValueError."""
        if trial not in self.runs:
            raise ValueError(f"{self.name} has no trial {trial}; it has {len(self.runs)}, numbered from 0")
        return self.runs[trial]

    def _check(self, *metrics: str) -> None:
        """Raises ValueError where trials have metrics, and none has one of these."""
        known = self.metrics
        for metric in metrics:
            if known and metric not in known:
                raise ValueError(f"no trial of {self.name} has a metric {metric}{nearest(metric, known)}")

    def _finished(self, *metrics: str) -> dict[int, tuple[float, ...]]:
        """The values of these metrics of each trial that is done and has them all. Raises ValueError where none is."""
        self._check(*metrics)
        done = {number: run for number, run in self.runs.items() if run.data.tags.get(tags.STATE) == "done"}
        found = {
            number: tuple(run.data.metrics[metric] for metric in metrics)
            for number, run in done.items()
            if all(math.isfinite(run.data.metrics.get(metric, math.nan)) for metric in metrics)
        }
        if found:
            return found
        if done:
            raise ValueError(f"no trial of {self.name} finished with a {' and a '.join(metrics)}")
        states = Counter(run.data.tags.get(tags.STATE, "") for run in self.runs.values())
        so_far = ", ".join(f"{count} {state}" for state, count in states.items()) or "it has none"
        raise ValueError(f"no trial of {self.name} has finished ({so_far})")
