"""Addresses of a sweep in MLflow's web pages, below the server's own address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from seisweep.private.mlflow import SHARED_VIEW
from seisweep.record import tags
from seisweep.record.metric_names import MetricNames
from seisweep.record.mlflow_names import allowed_name
from seisweep.statistics.objective import DONE, Objective
from trainables import metrics

MOST_COMPARED = 30
SCREEN_PX = 1104
"""What MLflow's table has on a screen of 1440 pixels for the columns from the trial's name on."""
LEAST_PX, ICON_PX, DOT_PX, STATE_PX, VERDICT_PX = 78, 46, 22, 92, 128
STATE, VERDICT = f"tags.`{tags.STATE}`", f"tags.`{metrics.INT8_VERDICT}`"
RUN_NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
"""Columns that MLflow always shows; of the second there is room for its sign of how the run ended."""
CURVES = "^(dev|train)/"
"""Charts that are curves: of `best/...` MLflow would show dots, and those first."""
OPENS_RUNS = "workflowType=machine_learning"
"""Of every link: without it MLflow 3 opens its pages on language models, where an experiment is empty."""


def saved_view(
    name: str, objectives: Mapping[str, str], params: Sequence[str], best_apart: bool = False
) -> tuple[str, str]:
    """Tag of an experiment that presets MLflow's runs table: a sweep's trials with their state, objectives, what was
    varied, and verdict and bytes of the INT8 file, in columns narrow enough for a screen of 1440 pixels."""
    objective = _as_column(objectives, best_apart)
    called = MetricNames(tuple(objectives), best_apart)
    scores = [f"metrics.`{allowed_name(called.column(metric))}`" for metric in objectives]
    varied = [f"params.`{key}`" for key in params]
    of_file = [VERDICT, f"metrics.`{allowed_name(metrics.INT8_BYTES)}`"]
    columns = list(dict.fromkeys([STATE, *scores, *varied, *of_file]))
    name_width = _text_px(f"{name}-000", least=110, most=200) + DOT_PX
    widths = _widths(columns, varied, SCREEN_PX - name_width - ICON_PX)
    shown = {RUN_NAME: name_width, CREATED: ICON_PX, **widths, DURATION: 80}
    view = {
        "searchFilter": _trials_only(name),
        "orderByKey": f"metrics.`{objective.metric}`",
        "orderByAsc": objective.small_first,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": list(shown),
        "columnWidths": shown,
    }
    if best_apart and Objective.first(objectives).metric.startswith("dev/"):
        view["chartsSearchFilter"] = CURVES
    return f"{SHARED_VIEW}{name}", json.dumps(view)


def _widths(columns: Sequence[str], varied: Sequence[str], room_px: int) -> dict[str, int]:
    """What was varied shares the room that state and objectives leave, each no wider than its heading; what stands
    behind it may have to be scrolled to."""
    widths = {column: _text_px(column.partition("`")[2].rstrip("`"), least=72, most=110) for column in columns}
    widths |= {STATE: STATE_PX, VERDICT: VERDICT_PX}
    before = columns[: columns.index(varied[0])] if varied else []
    share_px = (room_px - sum(widths[column] for column in before)) // max(1, len(varied))
    wanted = {column: _text_px(column, least=LEAST_PX, most=max(LEAST_PX, share_px)) for column in varied}
    return widths | wanted


def _text_px(text: str, least: int, most: int) -> int:
    """Pixels of a column with this heading."""
    return min(most, max(least, round(6.3 * len(text)) + 26))


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
    return pages(name, experiment_id, parent_run_id, best_ids)


def pages(name: str, experiment_id: str, parent_run_id: str, best_ids: Sequence[str]) -> dict[str, str]:
    """What to open: the trials as a table, their charts by metric, the sweep's own page, the best compared.

    Paths such as `/#/experiments/1/runs?...`, to be put behind the server's address.
    """
    table = f"/#/experiments/{experiment_id}/runs?viewStateShareKey={quote(name)}&{OPENS_RUNS}"
    paths = {
        "trials": table,
        "charts": f"{table}&compareRunsMode=CHART",
        "sweep": run_page(experiment_id, parent_run_id),
    }
    if len(best_ids) > 1:
        chosen = {"runs": json.dumps(list(best_ids[:MOST_COMPARED])), "experiments": json.dumps([experiment_id])}
        paths["compare"] = f"/#/compare-runs?{urlencode(chosen, quote_via=quote)}&{OPENS_RUNS}"
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
    return f"/#/experiments/{experiment_id}/runs/{run_id}?{OPENS_RUNS}"
