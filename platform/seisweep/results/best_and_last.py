"""A trial's `dev/f1` is that of its best weights, in whichever form its sweep was recorded.

Where best and last are told apart, MLflow has `best/dev/f1` beside the curve `dev/f1`. In older sweeps the final report
stands as one more step in the curve, so that the last value is the best weights'. Here both are one: `best/dev/f1`
takes the place of `dev/f1` among a run's metrics, and curves end with the last epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from seisweep.record import tags
from seisweep.record.metric_names import BEST
from seisweep.results.runs import Point, Run, RunData
from seisweep.statistics.objective import DONE
from trainables.metrics import FP32_BYTES, INT8_BYTES, LATENCIES

if TYPE_CHECKING:
    from seisweep.results.sweep_results import SweepResults

COSTS = (FP32_BYTES, INT8_BYTES, *LATENCIES)


def of_best_weights(run: Run) -> Run:
    """The run with the scores of its best weights under the metrics' own names."""
    last = {name: value for name, value in run.data.metrics.items() if not name.startswith(BEST)}
    best = {name.removeprefix(BEST): value for name, value in run.data.metrics.items() if name.startswith(BEST)}
    return Run(run.info, RunData(dict(run.data.tags), dict(run.data.params), last | best))


def whose_scores(sweep: SweepResults) -> str:
    """Whose the scores in a table of trials are, in words."""
    if tags.BEST_APART not in sweep.parent.data.tags:
        return "scores are of the best weights of trials that finished, of the last epoch of all others"
    under_way = [str(number) for number in sweep.runs if sweep.state(number) == "running"]
    which = f"trial{'s' if under_way[1:] else ''} {', '.join(under_way[:3])}{' ...' if under_way[3:] else ''}"
    return "scores are of each trial's best weights" + (
        f", of the last epoch of {which} under way" if under_way else ""
    )


def whose_files(sweep: SweepResults, shown: Iterable[str]) -> list[str]:
    """Of trials that ended without files: what the bytes and latencies beside them are."""
    costs = set(COSTS).intersection(shown)
    without = [n for n, run in sweep.runs.items() if sweep.state(n) != DONE and costs & run.data.metrics.keys()]
    return ["bytes and latencies of trials that did not finish are those of their architecture"] if without else []


def by_epoch(points: Iterable[Point], runs: Mapping[str, Run]) -> Iterator[Point]:
    """Points of curves, without what the final report said again of the best weights; what it alone said stands at the
    last epoch. `runs`: by id."""
    epochs = {run_id: _epochs(run) for run_id, run in runs.items()}
    curve: list[Point] = []
    after: list[Point] = []
    for point in points:
        if not point.metric.startswith(BEST):
            (curve if point.step <= epochs.get(point.run_id, math.inf) else after).append(point)
    known = {(point.run_id, point.metric) for point in curve}
    yield from curve
    yield from (one._replace(step=int(epochs[one.run_id])) for one in after if (one.run_id, one.metric) not in known)


def _epochs(run: Run) -> float:
    """Of a trial that is done; one that is not has no final report."""
    is_done = run.data.tags.get(tags.STATE) == DONE and run.data.tags.get(tags.EPOCHS)
    return int(run.data.tags[tags.EPOCHS]) if is_done else math.inf
