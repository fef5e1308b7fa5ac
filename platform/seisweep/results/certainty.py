"""What the record says of a sweep's certainty: counts by event of its trials, and its best two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from seisweep.results.sweep_results import SweepResults
from seisweep.settings.temporary import fresh_folder
from seisweep.statistics import certainty
from seisweep.statistics.conditions import Condition
from seisweep.statistics.objective import DONE
from trainables.evaluation.counts import COUNTS_FILE, EventCounts, counts_behind, read_counts


def counts_of(sweep: SweepResults, trial: int) -> dict[str, EventCounts]:
    """A trial's counts by model (dev, fp32, int8, teacher); empty where it has left none, or they are not to be had."""
    try:
        return read_counts(_file(sweep, trial))
    except (OSError, ValueError):
        return {}


def lines(sweep: SweepResults, shown: list[str]) -> list[str]:
    """What is said under a table of these columns: what the intervals are, or that there are none; and of a search
    whether its best two can be told apart."""
    done = [sweep.runs[number] for number in sweep.finished()]
    if not done:
        return []
    scored = certainty.scores_with_intervals(shown, [run.data.metrics for run in done])
    if not scored:
        return [certainty.NONE_KEPT]
    return [certainty.what_intervals_are(scored, of_the_best=len(sweep.runs) > 1), *best_two(sweep)]


def best_two(sweep: SweepResults) -> list[str]:
    """In words, whether the best two trials by the first objective can be told apart. Nothing where conditions over
    several seeds say more, or counts are missing."""
    best = sweep.finished()[:2]
    if len(best) < 2 or sweep.has_seeds:
        return []
    one, other = ((number, counts_of(sweep, number)) for number in best)
    told = certainty.tell_apart(sweep.objective.metric, one, other)
    return [told.words] if told else []


def counts_of_conditions(sweep: SweepResults, found: Sequence[Condition], metric: str) -> list[EventCounts | None]:
    """Of each condition the counts behind a metric, over all its seeds; None where a trial has left none."""
    numbers = list(sweep.runs)
    return [_together(sweep, [numbers[place] for place in one.trials], metric) for one in found]


def _together(sweep: SweepResults, trials: Sequence[int], metric: str) -> EventCounts | None:
    counts = [counts_behind(metric, counts_of(sweep, trial)) for trial in trials if sweep.state(trial) == DONE]
    known = [one for one in counts if one is not None]
    try:
        return EventCounts.total(known) if known and len(known) == len(counts) else None
    except ValueError:
        return None


def _file(sweep: SweepResults, trial: int) -> Path:
    """Where the file is here; a server is asked for it alone. Raises ValueError or OSError."""
    run = sweep.run(trial)
    if urlparse(run.info.artifact_uri).scheme in ("", "file"):
        return sweep.artifacts(trial) / COUNTS_FILE
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    where = {"dst_path": str(fresh_folder()), "tracking_uri": sweep.tracking_uri}
    try:
        return Path(download_artifacts(run_id=run.info.run_id, artifact_path=COUNTS_FILE, **where))
    except MlflowException as error:
        raise ValueError(str(error)) from None
