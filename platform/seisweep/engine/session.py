"""One session of a sweep: its lock, its logs, Ray, the past told again, a Tune run, and whatever ends that."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import ray
from ray import tune

from seisweep.engine.cluster import connected, trials_at_a_time
from seisweep.engine.finish import close_trial, finish
from seisweep.engine.litter import tidy_other_machines
from seisweep.engine.moves import RETRIES
from seisweep.engine.nodes import Nodes
from seisweep.engine.outcome import Outcome, Watch
from seisweep.engine.parts import Parts
from seisweep.engine.plan import Plan
from seisweep.engine.preflight import Question
from seisweep.engine.ray_watchdog import CLUSTER_PATIENCE_S, LOCAL_PATIENCE_S, watchdog
from seisweep.engine.schedulers import replay_past
from seisweep.engine.search import StudySearcher
from seisweep.engine.stopping import StopRequest, interruptible
from seisweep.engine.tune_callback import TuneCallback
from seisweep.private.ray_placing import Placing, placed_by, told_of_failures
from seisweep.quiet import LibraryLog
from seisweep.record.ledger import Report
from seisweep.settings.driver_lock import driver_lock
from seisweep.settings.home import NameTakenError
from seisweep.workers.faults import disk_full_line, is_disk_full, one_line
from seisweep.workers.trial import in_process_trial, scratch_place

logger = logging.getLogger(__name__)

MOST_PENDING = 1000
"""Trials that Tune may have waiting for a place on a cluster that grows. How many are proposed is said elsewhere."""


def run_session(plan: Plan, watch: Watch) -> Outcome:
    """Run a new sweep, or go on with one and as many trials more as the plan says, until it is finished or interrupted.

    Raises ValueError where no trial can run, before there is any trace of a new sweep.
    """
    launch = plan.launch
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch_place(launch.scratch), ignore_errors=True)  # with Ray, its writers end
        nodes = None
        if plan.is_new:
            nodes = stack.enter_context(_ray_with_room(plan, watch))
            launch.write()
            stack.enter_context(_nothing_left_without_the_name(plan))
        stack.enter_context(driver_lock(plan.folder))
        stack.enter_context(LibraryLog(plan.log))
        parts = Parts.of(plan, watch)
        stack.callback(parts.ledger.close)
        if not plan.is_new and (plan.extend or parts.has_work):
            nodes = stack.enter_context(_ray_with_room(plan, watch))
        if plan.extend:
            parts.extend()
        over = parts.ledger.outcome
        parts.ledger.begin_session()
        parts.tracker.begin(launch.note, parts.description, parts.num_trials)
        stack.enter_context(parts.tracker.in_background())
        watch.started(launch.sweep, launch.name, parts.num_trials)
        callback = TuneCallback(parts)
        if nodes:
            callback.on_nodes(nodes)
        catch_up(parts, callback)
        for record in parts.ledger.trials.values():
            watch.trial_update(parts.row(record))
        stop = StopRequest(parts.seconds_left)
        if over or not parts.num_left:
            watch.log(f"{launch.name} is {over or 'finished'} already, and nothing is left to run")
        elif not stop.stop_all():
            _search(parts, callback, stop)
        outcome = finish(parts, stop, callback.left_behind)
        watch.finished(outcome)  # while the lock is held: who follows the sweep reads what it says for so long
    return outcome


@contextmanager
def _nothing_left_without_the_name(plan: Plan) -> Iterator[None]:
    """Where a new sweep's name turns out to be taken in the store, its folder goes too."""
    try:
        yield
    except NameTakenError:
        shutil.rmtree(plan.folder, ignore_errors=True)
        raise


def catch_up(parts: Parts, callback: TuneCallback) -> None:
    """Bring the study and MLflow up to the ledger: what ended just before the last session died.

    A trial whose final report came without its checkpoint stays open: it goes on from the last checkpoint and says the
    final report once more.
    """
    ledger, tracker = parts.ledger, parts.tracker
    with ledger.grouped():
        for record in ledger.trials.values():
            if record.running and record.complete and parts.checkpoints.has_last(record):
                ledger.end_trial(record.number, "done")
    parts.study.reconcile(ledger)
    over = [record for record in ledger.trials.values() if not record.running]
    unwritten = {record.number: record for record in over if not tracker.has(record.number)}
    parts.checkpoints.lent = set(unwritten)
    parts.checkpoints.remove_leftovers()
    past: dict[int, list[Report]] = {number: [] for number in unwritten}
    for report in ledger.reports(set(unwritten)):
        past[report.trial].append(report)
    for number, record in unwritten.items():
        tracker.trial_begins(record, parts.plan.configure(record)[0], past[number])
        close_trial(parts, record)
    replay_past(parts.scheduler, ledger)
    if parts.population:
        parts.study.leave_open(parts.population.waiting)
        callback.pass_barrier()


def _search(parts: Parts, callback: TuneCallback, stop: StopRequest) -> None:
    """Run what is left under Ray Tune, until it ends or something ends it."""
    plan, watch = parts.plan, parts.watch
    callback.recovery.stop = stop
    with interruptible(stop, watch), _ended_with_ray(parts, callback, stop), _placed(callback):
        try:
            _tuner(parts, callback, stop).fit()
        except KeyboardInterrupt:  # the second one: at once
            watch.log(f"interrupted; go on with: seisweep resume {plan.name}")
            raise
        except Exception as error:  # Ray itself failed: what is written down is safe
            logger.exception("Ray Tune ended")
            if is_disk_full(error):
                callback.recovery.end_for_disk(disk_full_line(error))
            else:
                watch.log(f"Ray ended the session: {one_line(error)}; see {plan.log}")


def _tuner(parts: Parts, callback: TuneCallback, stop: StopRequest) -> tune.Tuner:
    plan, nodes = parts.plan, callback.nodes
    at_a_time = MOST_PENDING if nodes else trials_at_a_time(plan.resources, _most(plan))
    if parts.num_left > 0:
        at_a_time = min(at_a_time, parts.num_left)
    return tune.Tuner(
        _trial_function(parts, callback),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(callback, stop.stop_all, callback.places if nodes else lambda: at_a_time),
            scheduler=told_of_failures(parts.scheduler, callback.recovery.failed),
            num_samples=-1 if parts.population else parts.num_left,  # a population ends the search by itself
            max_concurrent_trials=at_a_time,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"session-{parts.ledger.num_sessions:03d}",
            **plan.storage.for_ray(),
            callbacks=[callback],
            progress_reporter=_NoReports(),
            stop=stop,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            verbose=0,
        ),
    )


class _NoReports(tune.ProgressReporter):
    """Tune's own clears the cell of a notebook, with what it shows of the sweep and of the user."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: str) -> None: ...


def _trial_function(parts: Parts, callback: TuneCallback) -> Any:
    """What Tune calls in the processes of the trials."""
    wanted = parts.plan.resources
    job = replace(parts.plan.job(parts.ledger.num_sessions), on_cluster=callback.nodes is not None)
    if wanted.ray_train:
        from seisweep.workers.ray_train import ray_train_trial
        from seisweep.workers.relay import open_relay

        callback.use_relay(open_relay(job.relay))
        return ray_train_trial(job)
    memory = {"memory": wanted.memory_gb * 2**30} if wanted.memory_gb else {}
    return tune.with_resources(in_process_trial(job), {"cpu": wanted.cpus, "gpu": wanted.gpus, **memory})


@contextmanager
def _placed(callback: TuneCallback) -> Iterator[None]:
    """While it is open, trials of a cluster are placed on nodes that may be used."""
    nodes = callback.nodes
    if nodes is None:
        yield
        return
    manager = Placing(lambda: nodes.usable)
    nodes.changed.append(manager.place_again)
    with placed_by(manager):
        yield


@contextmanager
def _ended_with_ray(parts: Parts, callback: TuneCallback, stop: StopRequest) -> Iterator[None]:
    """While it is open, a Ray that dies ends this process, when everything is written down."""

    def end() -> None:
        # Where the whole process group got a SIGTERM (as `timeout` sends it), Ray has stopped first.
        why = "interrupted" if stop.interrupted else "Ray has died"
        parts.watch.log(f"{why}; go on with: seisweep resume {parts.plan.name}")
        outcome = finish(parts, stop, callback.left_behind)
        parts.watch.finished(outcome)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # in a notebook too, whose kernel ends: Ray would end it in a minute
        os._exit(outcome.exit_code)

    patience_s = CLUSTER_PATIENCE_S if parts.plan.profile.ray_address else LOCAL_PATIENCE_S
    with watchdog(ray.get_runtime_context().gcs_address, patience_s, end):
        yield


@contextmanager
def _ray_with_room(plan: Plan, watch: Watch) -> Iterator[Nodes | None]:
    """A Ray on which at least one trial fits; of a cluster the nodes that can run one. Raises ValueError where there
    is none."""
    with connected(plan.profile) as dashboard:
        if not plan.profile.ray_address:
            trials_at_a_time(plan.resources, None)
            yield None
            return
        if dashboard:
            watch.log(f"Ray's dashboard: {dashboard}")
        nodes = Nodes(Question.of_sweep(plan), plan.resources, _most(plan), watch.log)
        nodes.first_look()
        try:
            yield nodes
        finally:
            nodes.close()
            tidy_other_machines(plan.launch.scratch)


def _most(plan: Plan) -> int | None:
    """Trials at a time that are wished for; None: as many as fit."""
    return plan.concurrency or plan.profile.max_concurrency


def _trial_name(trial: Any) -> str:
    """Name and folder of a Tune trial; each leg of a trial of a population has its own."""
    leg = trial.config["leg"]
    return f"trial-{trial.config['trial']:05d}" + (f"-{leg}" if leg else "")
