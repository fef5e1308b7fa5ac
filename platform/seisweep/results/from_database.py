"""Runs out of MLflow's database: the tables runs, tags, params, latest_metrics and metrics, one query each."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, TableClause, column, create_engine, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from seisweep.private.mlflow import TABLES, open_to_read
from seisweep.record import tags
from seisweep.record.gc_pause import no_collections
from seisweep.results.runs import Point, Run, RunData, RunInfo, Value
from seisweep.settings.places import NOWHERE_ELSE, can_be_written
from seisweep.settings.which_store import home_of_store


def _table(name: str) -> TableClause:
    return table(name, *map(column, TABLES[name]))


EXPERIMENTS, RUNS, TAGS, PARAMS = map(_table, ("experiments", "runs", "tags", "params"))
RUNS_A_QUERY = 100

LAST, METRICS = map(_table, ("latest_metrics", "metrics"))


class DatabaseReader:
    """Reads `sqlite:///...`, `postgresql+psycopg2://...` and the like."""

    def __init__(self, uri: str) -> None:
        """Raises ValueError where there is no such file, or no driver for it."""
        self.uri = uri
        try:
            url = make_url(uri)
            if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
                raise ValueError(f"the tracking store {uri} does not exist")  # connecting would make an empty file
            file = Path(url.database or "")
            if url.get_backend_name() == "sqlite" and not can_be_written(file.parent):
                self._engine = create_engine("sqlite://", creator=lambda: open_to_read(file), poolclass=NullPool)
            else:
                self._engine = create_engine(url, poolclass=NullPool)
        except (ArgumentError, ImportError) as error:
            raise ValueError(f"the tracking store {uri} cannot be opened: {_first_line(error)}") from None

        home = home_of_store(uri)
        self._places = home.places if home else NOWHERE_ELSE

    def sweeps(self, name: str | None = None) -> list[Run]:
        wanted = {tags.ROLE: tags.SWEEP_ROLE} | ({tags.SWEEP: name} if name is not None else {})
        return self._runs(_with_tags(wanted))

    def trials(self, parent: Run) -> list[Run]:
        return self._runs(_trials_of(parent))

    def tagged(self, wanted: Mapping[str, str]) -> list[Run]:
        return self._runs(_with_tags(wanted))

    def values(self, runs: Sequence[Run]) -> Iterator[Value]:
        ids = [run.info.run_id for run in runs]
        for start in range(0, len(ids), RUNS_A_QUERY):
            query = select(METRICS).where(METRICS.c.run_uuid.in_(ids[start : start + RUNS_A_QUERY]))
            with self._connected() as connection:
                rows = connection.execute(query).all()
            for run_id, key, step, time_ms, value, is_nan in rows:
                yield Value(run_id, key, step, math.nan if is_nan else value, time_ms)

    def points(self, parent: Run, runs: Mapping[str, Run], metrics: Collection[str]) -> Sequence[Point]:
        every = {name for run in runs.values() for name in run.data.metrics}
        query = select(METRICS).where(METRICS.c.run_uuid.in_(_trials_of(parent)))
        if not every <= set(metrics):
            query = query.where(METRICS.c.key.in_(list(metrics)))
        with self._connected() as connection:
            rows = connection.execute(query).all()
        by_time = sorted(rows, key=lambda row: row[3])
        return [
            Point(run_id, key, step, math.nan if is_nan else value)
            for run_id, key, step, _, value, is_nan in by_time
            if run_id in runs
        ]

    def _runs(self, chosen: Select[Any]) -> list[Run]:
        found: dict[str, Run] = {}
        with self._connected() as connection:
            newest_first = RUNS.c.start_time.desc(), RUNS.c.run_uuid
            for row in connection.execute(select(RUNS).where(RUNS.c.run_uuid.in_(chosen)).order_by(*newest_first)):
                run_id, experiment_id, status, start_ms, end_ms, artifact_uri, _ = row
                files = self._places.uri_here(artifact_uri)
                info = RunInfo(run_id, str(experiment_id), status, start_ms, end_ms, files)
                found[run_id] = Run(info, RunData({}, {}, {}))
            for source, place in ((TAGS, 0), (PARAMS, 1)):
                for run_id, key, value in connection.execute(select(source).where(source.c.run_uuid.in_(chosen))):
                    found[run_id].data[place][key] = value
            for run_id, key, value, is_nan in connection.execute(select(LAST).where(LAST.c.run_uuid.in_(chosen))):
                found[run_id].data.metrics[key] = math.nan if is_nan else value
        return list(found.values())

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """One transaction: what several queries see belongs together."""
        try:
            with no_collections(), self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise ValueError(f"the tracking store {self.uri} does not answer: {_first_line(error)}") from None


def _trials_of(parent: Run) -> Select[Any]:
    return _with_tags({tags.SWEEP_ID: parent.data.tags[tags.SWEEP_ID], tags.ROLE: tags.TRIAL_ROLE})


def _with_tags(wanted: Mapping[str, str]) -> Select[Any]:
    """Ids of runs that have these tags, without what lies in the bin."""
    experiment = EXPERIMENTS.c.experiment_id == RUNS.c.experiment_id
    query = select(RUNS.c.run_uuid).join(EXPERIMENTS, experiment)
    query = query.where(RUNS.c.lifecycle_stage == "active", EXPERIMENTS.c.lifecycle_stage == "active")
    for key, value in wanted.items():
        query = query.where(
            RUNS.c.run_uuid.in_(select(TAGS.c.run_uuid).where(TAGS.c.key == key, TAGS.c.value == value))
        )
    return query


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
