"""Every kind of chart, by name. A new one is a function with `@chart` in a file of this folder, listed here."""

from __future__ import annotations

from seisweep.charts.chart import Chart
from seisweep.charts.of_artifacts import confusion_matrices, reliability, residuals
from seisweep.charts.of_conditions import conditions, few_shot
from seisweep.charts.of_cost import pareto_front
from seisweep.charts.of_search import importances, parallel_coordinates
from seisweep.charts.over_epochs import learning_curves
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.fields import nearest

CHARTS: dict[str, Chart] = {
    chart.name: chart
    for chart in (
        learning_curves,
        conditions,
        few_shot,
        parallel_coordinates,
        importances,
        pareto_front,
        confusion_matrices,
        residuals,
        reliability,
    )
}


def available(sweep: SweepResults) -> dict[str, Chart]:
    """The charts that this sweep can have, by name; nothing is drawn to find out."""
    # A grid with several seeds is better seen by its conditions.
    skipped = parallel_coordinates if sweep.has_seeds else None
    return {name: chart for name, chart in CHARTS.items() if chart is not skipped and chart.applicable(sweep)}


def left_out(sweep: SweepResults) -> list[str]:
    """Of each chart that this sweep is better without, the line that says what it would have shown."""
    return [line for chart in CHARTS.values() if (line := chart.left_out(sweep))]


def chart_named(name: str) -> Chart:
    """Raises ValueError with the nearest names."""
    if name not in CHARTS:
        raise ValueError(f"no kind of chart is named {name}{nearest(name, CHARTS)}")
    return CHARTS[name]
