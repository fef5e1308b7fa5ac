"""The end of a session: what is open is closed in ledger, study and MLflow, and an outcome says how it went."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from seisweep.engine.outcome import NOTHING, LeftBehind, Outcome, TrialRow
from seisweep.engine.parts import Parts
from seisweep.engine.stopping import StopRequest
from seisweep.record import tags
from seisweep.record.ledger import TrialRecord
from seisweep.statistics.objective import Objective, Standing
from seisweep.workers.faults import one_line

logger = logging.getLogger(__name__)

Ending = Literal["finished", "interrupted", "failed"]


def finish(parts: Parts, stop: StopRequest, left_behind: LeftBehind = NOTHING) -> Outcome:
    """Close what is open and say how it went."""
    plan, ledger, tracker, watch = parts.plan, parts.ledger, parts.tracker, parts.watch
    if stop.out_of_time and not stop.interrupted:
        _stop_for_want_of_time(parts)
    for record in _under_way(parts):
        watch.trial_update(parts.row(record))
    state = _ending(parts, stop)
    if state != "interrupted":
        ledger.end_sweep(state)
    best = best_record(parts)
    tracker.searched(parts.study.distributions.as_data())
    tracker.exploited(ledger.exploits)
    tracker.nodes_left_out(left_behind.nodes)
    tracker.end(state, best, _conditions(parts) if state == "finished" else None)
    tracker.wait(plan.profile.tracking_deadline_s, watch.log)
    for line in tracker.refused:
        watch.log(line)
    if lacks := tracker.lacks:
        why = tracker.trouble or "it was not waited for"
        watch.log(
            f"not in MLflow yet: {lacks} ({plan.store.uri}: {why}); "
            f"run `seisweep resume {plan.name}` once the server answers"
        )
    take_back(parts)
    parts.checkpoints.remove_leftovers()
    return Outcome(
        name=plan.name,
        state=state,
        rows=[_row(parts, record, left_behind) for _, record in sorted(ledger.trials.items())],
        best=parts.row(best) if best else None,
        experiment_id=tracker.experiment_id,
        parent_run_id=tracker.parent_run_id,
        tracking_uri=plan.store.uri,
        objectives=dict(plan.sweep.objectives),
        obstacle=stop.obstacle if state == "interrupted" else "",
        by_user=stop.interrupted,
        baseline=plan.sweep.baseline,
        confirms=plan.sweep.confirms,
        is_grid=plan.sweep.sampler == "grid",
        lacks_in_mlflow=lacks,
        best_apart=plan.launch.best_apart,
        nodes_left_out=left_behind.nodes,
    )


def _row(parts: Parts, record: TrialRecord, left_behind: LeftBehind) -> TrialRow:
    if not record.running:
        return parts.row(record)
    return replace(parts.row(record, "interrupted"), reason=left_behind.trials.get(record.number, ""))


def close_trial(parts: Parts, record: TrialRecord) -> None:
    """Lend the last checkpoint's files to MLflow; once it has them, only a done trial keeps that checkpoint."""
    checkpoints = parts.checkpoints
    place = record.checkpoint[1] if record.checkpoint else ""
    is_elsewhere = "://" in place  # and takes its time to come: that is for the thread that writes to wait
    files = partial(checkpoints.fetch, place)
    if not is_elsewhere and not checkpoints.has_last(record):
        parts.watch.log(f"trial {record.number}: its last checkpoint is gone: MLflow gets no files of it")
    parts.tracker.trial_ends(record, files if is_elsewhere else files() if place else None)
    if parts.tracker.wants(record.number) and not record.kept:
        checkpoints.lent.add(record.number)
    else:
        checkpoints.lent.discard(record.number)
        checkpoints.remove_superfluous(record)


def take_back(parts: Parts) -> None:
    """Checkpoints whose files MLflow has by now are no longer kept for it."""
    for number in [number for number in parts.checkpoints.lent if not parts.tracker.wants(number)]:
        parts.checkpoints.lent.discard(number)
        parts.checkpoints.remove_superfluous(parts.ledger.trials[number])


def best_record(parts: Parts) -> TrialRecord | None:
    """The best finished trial by the first objective, whose metrics the sweep's own run in MLflow carries too."""
    objective = Objective.first(parts.plan.sweep.objectives)
    return objective.best(
        parts.ledger.trials.values(),
        lambda record: Standing(record.state, record.metrics.get(objective.metric), record.number),
    )


def _under_way(parts: Parts) -> list[TrialRecord]:
    return [record for record in parts.ledger.trials.values() if record.running]


def _stop_for_want_of_time(parts: Parts) -> None:
    for record in _under_way(parts):
        parts.ledger.end_trial(record.number, "stopped", "the sweep's time budget is used up")
        parts.study.tell(record)
        close_trial(parts, record)


def _ending(parts: Parts, stop: StopRequest) -> Ending:
    left = parts.num_left != 0 and not stop.out_of_time
    if _under_way(parts) or stop.interrupted or (left and (parts.num_left > 0 or stop.obstacle)):
        return "interrupted"
    states = {record.state for record in parts.ledger.trials.values()}
    return "failed" if states == {"failed"} else "finished"


def _conditions(parts: Parts) -> Path | None:
    """Folder with table and figures of a sweep with several seeds. An error costs them and nothing else."""
    plan = parts.plan
    if len(plan.sweep.seeds) < 2:
        return None
    try:
        from seisweep.charts.conditions_folder import write_conditions  # matplotlib is imported for it

        return write_conditions(plan.sweep, parts.ledger, plan.folder / tags.CONDITIONS_FOLDER)
    except Exception as error:
        logger.exception("conditions of %s", plan.name)
        parts.watch.log(f"no figures of the conditions: {one_line(error)}; see {plan.log}")
        return None
