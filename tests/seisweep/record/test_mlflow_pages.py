"""Where a sweep is in MLflow's pages, and how its table fits a screen."""

from __future__ import annotations

import json

from seisweep.record.mlflow_pages import CREATED, RUN_NAME, SCREEN_PX, saved_view

from search_spaces.named import named_sweep
from search_spaces.narrowing import searched_keys


def view_of(name: str, **fields: object) -> dict:
    sweep = named_sweep("distillation").changed(**fields)
    key, view = saved_view(name, sweep.objectives, searched_keys(sweep), best_apart=True)
    assert key == f"mlflow.sharedViewState.{name}"
    return json.loads(view)


def test_state_objective_and_all_that_varies_fit_a_screen_of_1440_pixels():
    view = view_of("distillation-1")
    order, widths = view["columnOrder"], view["columnWidths"]
    varied = [column for column in view["selectedColumns"] if column.startswith("params.")]
    assert len(varied) == 8
    assert order[:4] == [RUN_NAME, CREATED, "tags.`state`", "metrics.`best/dev/f1`"]
    assert order[4:12] == varied
    assert sum(widths[column] for column in order[:12]) <= SCREEN_PX
    assert sorted(widths) == sorted(order)


def test_a_long_name_and_several_objectives_are_columns_too():
    objectives = {"dev/f1": "max", "int8/bytes": "min", "int8/latency_ms": "min"}
    view = view_of("a-name-" * 20, objectives=objectives)
    columns = view["selectedColumns"]
    assert columns[1:4] == ["metrics.`best/dev/f1`", "metrics.`int8/bytes`", "metrics.`int8/latency_ms`"]
    assert len(set(columns)) == len(columns), "bytes stand there once"
    assert view["columnWidths"][RUN_NAME] < 250
    assert min(view["columnWidths"][column] for column in columns) >= 70
