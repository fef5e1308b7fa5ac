"""Addresses of a sweep in MLflow's web pages, below the server's own address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from seisweep.private.mlflow import SHARED_VIEW
from seisweep.record import mlflow_server, tags
from seisweep.record.metric_names import MetricNames
from seisweep.record.mlflow_names import allowed_name
from seisweep.statistics.objective import DONE, Objective
from trainables import metrics

MOST_COMPARED = 30


def saved_view(
    name: str, objectives: Mapping[str, str], params: Sequence[str], best_apart: bool = False
) -> tuple[str, str]:
    """Tag of an experiment that presets MLflow's runs table: a sweep's trials, with the columns worth a look."""
    objective = _as_column(objectives, best_apart)
    called = MetricNames(tuple(objectives), best_apart)
    shown = dict.fromkeys(allowed_name(called.column(metric)) for metric in (*objectives, *metrics.HEADLINES))
    columns = [f"metrics.`{metric}`" for metric in shown]
    view = {
        "searchFilter": _trials_only(name),
        "orderByKey": f"metrics.`{objective.metric}`",
        "orderByAsc": objective.small_first,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Duration`", *columns, *(f"params.`{key}`" for key in params)],
    }
    return f"{SHARED_VIEW}{name}", json.dumps(view)


def _trials_only(name: str) -> str:
    return f"tags.{tags.SWEEP} = '{name}' and tags.{tags.ROLE} = '{tags.TRIAL_ROLE}'"


def links(
    name: str,
    objectives: Mapping[str, str],
    experiment_id: str,
    parent_run_id: str,
    tracking_uri: str,
    best_apart: bool = False,
) -> dict[str, str]:
    """The pages of a sweep that has just ended. The store is asked for the best trials."""
    from mlflow.tracking import MlflowClient

    objective = _as_column(objectives, best_apart)
    best = MlflowClient(tracking_uri=tracking_uri).search_runs(
        [experiment_id],
        f"{_trials_only(name)} and tags.{tags.STATE} = '{DONE}'",
        order_by=[f"metrics.`{objective.metric}` {'ASC' if objective.small_first else 'DESC'}"],
        max_results=MOST_COMPARED,
    )
    best_ids = [run.info.run_id for run in best]
    return pages(name, objectives, experiment_id, parent_run_id, best_ids, best_apart)


def pages(
    name: str,
    objectives: Mapping[str, str],
    experiment_id: str,
    parent_run_id: str,
    best_ids: Sequence[str],
    best_apart: bool = False,
) -> dict[str, str]:
    """What to open: the trials as a table, their charts by metric, the sweep's own page, the best compared.

    Paths such as `/#/experiments/1/runs?...`, to be put behind the server's address.
    """
    objective = _as_column(objectives, best_apart)
    query = {
        "searchFilter": _trials_only(name),
        "orderByKey": f"metrics.`{objective.metric}`",
        "orderByAsc": str(objective.small_first).lower(),
        "lifecycleFilter": "Active",
        "datasetsFilter": "W10=",  # an empty list, as the page itself writes it
    }
    runs = f"/#/experiments/{experiment_id}/runs"
    paths = {
        "trials": f"{runs}?viewStateShareKey={quote(name)}",
        "charts": f"{runs}?{urlencode(query | {'compareRunsMode': 'CHART'}, quote_via=quote)}",
        "sweep": run_page(experiment_id, parent_run_id),
    }
    if len(best_ids) > 1:
        chosen = {"runs": json.dumps(list(best_ids[:MOST_COMPARED])), "experiments": json.dumps([experiment_id])}
        paths["compare"] = f"/#/compare-runs?{urlencode(chosen, quote_via=quote)}"
    return paths


def _as_column(objectives: Mapping[str, str], best_apart: bool) -> Objective:
    """The first objective under the name of its column in MLflow."""
    objective = Objective.first(objectives)
    column = MetricNames(tuple(objectives), best_apart).column(objective.metric)
    return Objective(allowed_name(column), objective.direction)


def page_of(name: str, tracking_uri: str) -> str:
    """A sweep's own page by its name; empty where the store has none."""
    from mlflow.tracking import MlflowClient

    from seisweep.record.mlflow_store import search_runs

    client = MlflowClient(tracking_uri=tracking_uri)
    found = search_runs(client, f"tags.{tags.ROLE} = '{tags.SWEEP_ROLE}' and tags.{tags.SWEEP} = '{name}'")
    return run_page(found[-1].info.experiment_id, found[-1].info.run_id) if found else ""


def run_page(experiment_id: str, run_id: str) -> str:
    """The page of one run."""
    return f"/#/experiments/{experiment_id}/runs/{run_id}"


def server(tracking_uri: str) -> str:
    """Address of the pages: the tracking server's, else where `seisweep ui` shows a home's own store."""
    return tracking_uri.rstrip("/") if tracking_uri.startswith("http") else mlflow_server.base_url()
