"""Runs of a tracking server, through MLflow's client. Many curves at once come by the way of MLflow's own pages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search_spaces.sweep import NAME_PATTERN
from seisweep.private.mlflow import ask_for_curves
from seisweep.record import tags
from seisweep.record.mlflow_store import search_runs, store_answers
from seisweep.results.runs import Point, Run, Value

CONNECT_S, ANSWER_S = 5, 15
"""How long a server may take to take a call, and to answer it. MLflow's own patience is many minutes."""
RUNS_A_CALL, POINTS_A_CALL = 100, 25_000
"""What a server takes and gives at most with one call of that address."""
CALLS_AT_A_TIME = 8


class ServerReader:
    """Reads `http://...` and whatever else MLflow's client takes."""

    def __init__(self, uri: str) -> None:
        """Raises ValueError where nobody answers within seconds."""
        self.uri = uri
        if uri.startswith("http"):
            try:
                requests.get(f"{uri.rstrip('/')}/health", timeout=(CONNECT_S, ANSWER_S), stream=True).close()
            except requests.RequestException as error:
                raise ValueError(f"the tracking server {uri} does not answer: {_reason(error)}") from None
        with store_answers(uri):
            self._client = MlflowClient(tracking_uri=uri)

    def sweeps(self, name: str | None = None) -> list[Run]:
        wanted = f"tags.{tags.ROLE} = '{tags.SWEEP_ROLE}'"
        if name is not None and not re.fullmatch(NAME_PATTERN, name):
            return []
        return self._search(wanted if name is None else f"{wanted} and tags.{tags.SWEEP} = '{name}'")

    def trials(self, parent: Run) -> list[Run]:
        sweep = f"tags.{tags.SWEEP_ID} = '{parent.data.tags[tags.SWEEP_ID]}'"
        return self._search(f"{sweep} and tags.{tags.ROLE} = '{tags.TRIAL_ROLE}'", parent.info.experiment_id)

    def tagged(self, wanted: Mapping[str, str]) -> list[Run]:
        return self._search(" and ".join(f"tags.{key} = '{value}'" for key, value in wanted.items()))

    def values(self, runs: Sequence[Run]) -> Iterator[Value]:
        calls = [(run.info.run_id, metric) for run in runs for metric in run.data.metrics]
        with store_answers(self.uri), ThreadPoolExecutor(CALLS_AT_A_TIME) as pool:
            histories = pool.map(lambda call: self._client.get_metric_history(*call), calls)
            for (run_id, metric), points in zip(calls, histories, strict=True):
                yield from (Value(run_id, metric, one.step, one.value, one.timestamp) for one in points)

    def points(self, parent: Run, runs: Mapping[str, Run], metrics: Collection[str]) -> Sequence[Point]:
        calls = []
        for metric in metrics:
            with_metric = [run_id for run_id, run in runs.items() if metric in run.data.metrics]
            starts = range(0, len(with_metric), RUNS_A_CALL)
            calls += [(metric, with_metric[start : start + RUNS_A_CALL]) for start in starts]
        with store_answers(self.uri), ThreadPoolExecutor(CALLS_AT_A_TIME) as pool:
            return [point for part in pool.map(lambda call: self._histories(*call), calls) for point in part]

    def _histories(self, metric: str, run_ids: Sequence[str]) -> Iterable[Point]:
        """One metric of up to a hundred runs with one call; run by run where the server knows no such address, or the
        answer has no room for all of them."""
        answer = ask_for_curves(self.uri, metric, tuple(run_ids))
        points = answer.json().get("metrics", []) if answer.status_code == requests.codes.ok else None
        if points is not None and len(points) < POINTS_A_CALL:
            return [Point(p["run_id"], p["key"], int(p["step"]), float(p["value"])) for p in points]
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise MlflowException(f"{answer.status_code} {answer.reason}")
        return [
            Point(run_id, metric, point.step, point.value)
            for run_id in run_ids
            for point in self._client.get_metric_history(run_id, metric)
        ]

    def _search(self, wanted: str, experiment_id: str | None = None) -> list[Run]:
        return search_runs(self._client, wanted, experiment_id)  # type: ignore[return-value]  # of the same shape


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return f"nothing came within {CONNECT_S if isinstance(error, requests.ConnectTimeout) else ANSWER_S} s"
    inner = re.search(r"\[Errno [^]]*\] ([^'\")]*)", str(error))
    return inner.group(1) if inner else str(error).partition("\n")[0]
