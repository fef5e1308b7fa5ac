"""Addresses of a sweep in MLflow's web pages, below the server's own address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from mlflow.tracking import MlflowClient

from seisweep import tags
from seisweep.progress import Outcome
from seisweep.store import search_runs
from trainables import metrics

MOST_COMPARED = 30


def saved_view(name: str, objectives: Mapping[str, str], params: Sequence[str]) -> tuple[str, str]:
    """Tag of an experiment that presets MLflow's runs table: a sweep's trials, with the columns worth a look.

    The page's own format for a view that is shared by link; without it the table shows no metric at all.
    """
    metric, direction = next(iter(objectives.items()))
    columns = [*(f"metrics.`{name}`" for name in dict.fromkeys((*objectives, *metrics.HEADLINES)))]
    view = {
        "searchFilter": _trials_only(name),
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": direction == "min",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Duration`", *columns, *(f"params.`{key}`" for key in params)],
    }
    return f"mlflow.sharedViewState.{name}", json.dumps(view)


def _trials_only(name: str) -> str:
    return f"tags.{tags.SWEEP} = '{name}' and tags.{tags.ROLE} = '{tags.TRIAL_ROLE}'"


def links(outcome: Outcome) -> dict[str, str]:
    """What to open: the trials as a table, their charts by metric, the sweep's own page, the best compared.

    Paths such as `/#/experiments/1/runs?...`, to be put behind the server's address.
    """
    metric, direction = next(iter(outcome.objectives.items()))
    trials_only = _trials_only(outcome.name)
    query = {
        "searchFilter": trials_only,
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": str(direction == "min").lower(),
        "lifecycleFilter": "Active",
        "datasetsFilter": "W10=",  # an empty list, as the page itself writes it
    }
    runs = f"/#/experiments/{outcome.experiment_id}/runs"
    paths = {
        "trials": f"{runs}?viewStateShareKey={quote(outcome.name)}",
        "charts": f"{runs}?{urlencode(query | {'compareRunsMode': 'CHART'}, quote_via=quote)}",
        "sweep": f"{runs}/{outcome.parent_run_id}",
    }
    best = MlflowClient(tracking_uri=outcome.tracking_uri).search_runs(
        [outcome.experiment_id],
        f"{trials_only} and tags.{tags.STATE} = 'done'",
        order_by=[f"metrics.`{metric}` {'ASC' if direction == 'min' else 'DESC'}"],
        max_results=MOST_COMPARED,
    )
    if len(best) > 1:
        chosen = {
            "runs": json.dumps([run.info.run_id for run in best]),
            "experiments": json.dumps([outcome.experiment_id]),
        }
        paths["compare"] = f"/#/compare-runs?{urlencode(chosen, quote_via=quote)}"
    return paths


def page_of(name: str, tracking_uri: str) -> str:
    """A sweep's own page by its name; empty where the store has none."""
    client = MlflowClient(tracking_uri=tracking_uri)
    found = search_runs(client, f"tags.{tags.ROLE} = '{tags.SWEEP_ROLE}' and tags.{tags.SWEEP} = '{name}'")
    info = found[-1].info if found else None
    return f"/#/experiments/{info.experiment_id}/runs/{info.run_id}" if info else ""
