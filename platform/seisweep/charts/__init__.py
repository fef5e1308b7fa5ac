"""Charts of a whole sweep, out of its record: `charts.pareto_front(seisweep.load("distillation-1"))`."""

from seisweep.charts.catalog import (
    CHARTS,
    available,
    chart_named,
    conditions,
    confusion_matrices,
    few_shot,
    importances,
    learning_curves,
    left_out,
    parallel_coordinates,
    pareto_front,
    reliability,
    residuals,
)

__all__ = [
    "CHARTS",
    "available",
    "chart_named",
    "conditions",
    "confusion_matrices",
    "few_shot",
    "importances",
    "learning_curves",
    "left_out",
    "parallel_coordinates",
    "pareto_front",
    "reliability",
    "residuals",
]
