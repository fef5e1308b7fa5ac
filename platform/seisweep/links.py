"""Addresses of a sweep in MLflow's web pages, below the server's own address."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from mlflow.tracking import MlflowClient

from seisweep import tags
from seisweep.watch import Outcome

MOST_COMPARED = 30


def links(outcome: Outcome) -> dict[str, str]:
    """What to open: the trials as a table, their charts by metric, the sweep's own page, the best compared.

    Paths such as `/#/experiments/1/runs?...`, to be put behind the server's address.
    """
    metric, direction = next(iter(outcome.objectives.items()))
    trials_only = f"tags.{tags.SWEEP} = '{outcome.name}' and tags.{tags.ROLE} = '{tags.TRIAL_ROLE}'"
    query = {
        "searchFilter": trials_only,
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": str(direction == "min").lower(),
        "lifecycleFilter": "Active",
        "datasetsFilter": "W10=",  # an empty list, as the page itself writes it
    }
    runs = f"/#/experiments/{outcome.experiment_id}/runs"
    paths = {
        "trials": f"{runs}?{urlencode(query, quote_via=quote)}",
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
