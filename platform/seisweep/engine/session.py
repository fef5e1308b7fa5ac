"""One session of a sweep: from its folder and its past to a Tune run, and what that leaves behind."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import ray
from ray import tune

from seisweep.engine.checkpoints import remove_leftovers
from seisweep.engine.cluster import Resources, connected, trials_at_a_time
from seisweep.engine.early_stopping import make_scheduler, replay_past
from seisweep.engine.outcome import Outcome, TrialRow, Watch
from seisweep.engine.population import Barriers, Population
from seisweep.engine.ray_watchdog import CLUSTER_PATIENCE_S, LOCAL_PATIENCE_S, lifeline
from seisweep.engine.search import Study, StudySearcher
from seisweep.engine.stopping import StopRequest, interruptible
from seisweep.engine.sweep_folder import JOURNAL_FILE, LEDGER_FILE, Launch, driver_lock
from seisweep.engine.tune_callback import FETCHED, Driver
from seisweep.quiet import LibraryLog
from seisweep.record import tags
from seisweep.record.ledger import Ledger, Report, TrialRecord
from seisweep.record.tracker import Tracker
from seisweep.requested.trainable import Trainable
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.statistics.objective import Objective, Standing
from seisweep.workers.faults import disk_full_line, is_disk_full, one_line
from seisweep.workers.trial import Job, in_process_trial, scratch_place

logger = logging.getLogger(__name__)


class Session:
    """The parts of a running sweep, put together from its folder."""

    def __init__(
        self, launch: Launch, home: Home, trainable: Trainable, uri: str, profile: Profile, watch: Watch
    ) -> None:
        self.launch, self.sweep, self.profile, self.watch, self.uri = launch, launch.sweep, profile, watch, uri
        self.resources = Resources(self.sweep, profile)
        self.defaults = trainable.defaults(self.sweep)
        self.ledger = Ledger(launch.folder / LEDGER_FILE)
        self.study = Study(self.sweep, launch.folder / JOURNAL_FILE, self.defaults)
        is_population = self.sweep.scheduler == "pbt"
        self.population = Population(self.sweep, self.defaults, self.ledger) if is_population else None
        self.scheduler = Barriers(self.population) if self.population else make_scheduler(self.sweep, self.defaults)
        artifacts = None if profile.tracking_uri else home.artifacts_dir.as_uri()
        self.tracker = Tracker(uri, artifacts, self.sweep, launch.name, launch.id, launch.tags)
        self.driver = Driver(
            self.sweep,
            profile,
            trainable,
            self.study,
            self.scheduler,
            self.ledger,
            self.tracker,
            watch,
            cache_dir=home.cache_dir,
            folder=launch.folder,
            storage=self._storage(),
            epochs=self.defaults.get(self.sweep.epochs_key),
            population=self.population,
        )

    @property
    def num_trials(self) -> int | None:
        """Trials of the whole sweep, with those it was extended by; None where only time bounds it."""
        if self.sweep.sampler == "grid":
            return self.study.num_known
        return self.ledger.samples or self.sweep.samples

    @property
    def description(self) -> dict[str, Any]:
        """The launch as data, with the number of trials that it has now."""
        if self.ledger.samples is None:
            return self.launch.as_dict()
        return replace(self.launch, sweep=self.sweep.changed(samples=self.ledger.samples)).as_dict()

    @property
    def num_left(self) -> int:
        """Trials to run in this session; -1 where only time bounds it."""
        return -1 if self.num_trials is None else max(0, self.num_trials - self.study.num_finished)

    @property
    def seconds_left(self) -> float | None:
        """Of the sweep's time budget; None where it has none."""
        budget_s = self.sweep.time_budget_s
        return None if budget_s is None else budget_s - self.ledger.seconds_used

    @property
    def has_work(self) -> bool:
        """Whether this session has trials to run, and time to run them."""
        has_time = self.seconds_left is None or self.seconds_left > 0
        return not self.ledger.outcome and self.num_left != 0 and has_time

    def extend(self, more: int) -> None:
        """So many trials more. Raises ValueError where there is no time for any."""
        if self.seconds_left is not None and self.seconds_left <= 0:
            raise ValueError(f"the time budget of {self.launch.name} ({self.sweep.time_budget_s:g} s) is used up")
        assert self.num_trials is not None
        self.ledger.extend(self.num_trials + more)

    def recover(self) -> None:
        """Bring the study and MLflow up to the ledger: what ended just before the last session died.

        A trial whose final report came without its checkpoint stays open: it goes on from the last checkpoint and
        says the final report once more.
        """
        for record in self.ledger.trials.values():
            if record.running and record.complete:
                self.ledger.end_trial(record.number, "done")
        self.study.reconcile(self.ledger)
        over = [record for record in self.ledger.trials.values() if not record.running]
        unwritten = {record.number: record for record in over if not self.tracker.has(record.number)}
        past: dict[int, list[Report]] = {number: [] for number in unwritten}
        for report in self.ledger.reports(set(unwritten)):
            past[report.trial].append(report)
        for number, record in unwritten.items():
            self.tracker.trial_begins(record, self.driver.configure(record)[0], past[number])
            self.driver.close_trial(record)
        replay_past(self.scheduler, self.ledger)
        if self.population:
            self.study.leave_open(self.population.waiting)
            self.driver.pass_barrier()
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """What no trial refers to: of a session that died, and of this one."""
        remove_leftovers(self._storage(), self.ledger)
        shutil.rmtree(self.launch.folder / FETCHED, ignore_errors=True)
        shutil.rmtree(scratch_place(self.launch.scratch), ignore_errors=True)

    def fit(self, concurrency: int | None, stop: StopRequest) -> None:
        """Run what is left under Ray Tune."""
        self.driver.recovery.stop = stop
        at_a_time = trials_at_a_time(self.resources, concurrency or self.profile.max_concurrency)
        if self.num_left > 0:
            at_a_time = min(at_a_time, self.num_left)
        function, reuse = self._trial_function()
        tune.Tuner(
            function,
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(self.driver, limit=stop.stop_all),
                scheduler=self.scheduler,
                num_samples=-1 if self.population else self.num_left,  # a population ends the search by itself
                max_concurrent_trials=at_a_time,
                reuse_actors=reuse,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name=f"session-{self.ledger.num_sessions:03d}",
                storage_path=self._storage(),
                callbacks=[self.driver],
                stop=stop,
                failure_config=tune.FailureConfig(max_failures=1),
                verbose=0,
            ),
        ).fit()

    @contextmanager
    def ended_with_ray(self, stop: StopRequest) -> Iterator[None]:
        """While it is open, a Ray that dies ends this process, when everything is written down."""

        def end() -> None:
            # Where the whole process group got a SIGTERM (as `timeout` sends it), Ray has stopped first.
            why = "interrupted" if stop.interrupted else "Ray has died"
            self.watch.log(f"{why}; go on with: seisweep resume {self.launch.name}")
            outcome = self.finish(stop)
            self.watch.finished(outcome)
            os._exit(0 if outcome.state == "finished" else 1)

        patience_s = CLUSTER_PATIENCE_S if self.profile.ray_address else LOCAL_PATIENCE_S
        with lifeline(ray.get_runtime_context().gcs_address, patience_s, end):
            yield

    def finish(self, stop: StopRequest) -> Outcome:
        """Close what is open and say how it went."""
        running = [record for record in self.ledger.trials.values() if record.running]
        if stop.out_of_time and not stop.interrupted:
            for record in running:
                self.ledger.end_trial(record.number, "stopped", "the sweep's time budget is used up")
                self.study.tell(record)
                self.driver.close_trial(record)
            running = []
        state: Literal["finished", "interrupted", "failed"]
        for record in running:
            self.watch.trial_update(self.row(record))
        states = {record.state for record in self.ledger.trials.values()}
        left = self.num_left != 0 and not stop.out_of_time
        if running or stop.interrupted or (left and (self.num_left > 0 or stop.obstacle)):
            state = "interrupted"
        elif states == {"failed"}:
            state = "failed"
        else:
            state = "finished"
        if state != "interrupted":
            self.ledger.end_sweep(state)
        best = self.best()
        self.tracker.exploited(self.ledger.exploits)
        self.tracker.end(state, best, self._conditions() if state == "finished" else None)
        if self.tracker.lacks:
            self.watch.log(
                f"MLflow at {self.uri} lacks {self.tracker.lacks} ({self.tracker.trouble}); "
                f"`seisweep resume {self.launch.name}` writes it once the store answers"
            )
        self._remove_leftovers()
        rows = [self.row(record) for record in sorted(self.ledger.trials.values(), key=lambda r: r.number)]
        return Outcome(
            name=self.launch.name,
            state=state,
            rows=rows,
            best=self.row(best) if best else None,
            experiment_id=self.tracker.experiment_id,
            parent_run_id=self.tracker.parent_run_id,
            tracking_uri=self.uri,
            objectives=dict(self.sweep.objectives),
            obstacle=stop.obstacle if state == "interrupted" else "",
            baseline=self.sweep.baseline,
            confirms=self.sweep.confirms,
        )

    def _conditions(self) -> Path | None:
        """Folder with table and figures of a sweep with several seeds. An error costs them and nothing else."""
        if len(self.sweep.seeds) < 2:
            return None
        try:
            from seisweep.charts.conditions_folder import write_suite

            return write_suite(self.sweep, self.ledger, self.launch.folder / tags.CONDITIONS_FOLDER)
        except Exception as error:
            logger.exception("conditions of %s", self.launch.name)
            self.watch.log(f"no figures of the conditions: {one_line(error)}; see {self.launch.folder / 'sweep.log'}")
            return None

    def row(self, record: TrialRecord) -> TrialRow:
        return self.driver.row(record, "pending" if record.running else None)

    def best(self) -> TrialRecord | None:
        """The best finished trial by the first objective."""
        objective = Objective.first(self.sweep.objectives)
        return objective.best(
            self.ledger.trials.values(),
            lambda record: Standing(record.state, record.metrics.get(objective.metric), record.number),
        )

    def _trial_function(self) -> tuple[Any, bool]:
        wanted = self.resources
        job = Job(
            trainable=self.sweep.trainable,
            objectives=tuple(self.sweep.objectives),
            logs=str(self.launch.folder / "logs"),
            storage=self._storage(),
            workers=wanted.workers,
            cpus_per_worker=wanted.cpus,
            gpus_per_worker=wanted.gpus,
            memory_gb_per_worker=wanted.memory_gb,
            scratch=self.launch.scratch,
            mailbox=f"seisweep-{self.launch.id}-{self.ledger.num_sessions}",
        )
        if wanted.ray_train:
            from seisweep.workers.ray_train import ray_train_trial
            from seisweep.workers.relay import open_mailbox

            self.driver.mailbox = open_mailbox(job.mailbox)
            return ray_train_trial(job), True
        memory = {"memory": wanted.memory_gb * 2**30} if wanted.memory_gb else {}
        return tune.with_resources(in_process_trial(job), {"cpu": wanted.cpus, "gpu": wanted.gpus, **memory}), True

    def _storage(self) -> str:
        """Where checkpoints go: the sweep's folder, or the profile's storage under the sweep's id."""
        if not self.profile.storage_path:
            return str(self.launch.folder / "tune")
        place = self.profile.storage_path.rstrip("/")
        place = place if "://" in place else str(Path(place).expanduser().absolute())
        return f"{place}/{self.launch.name}-{self.launch.id[:8]}"


def _trial_name(trial: Any) -> str:
    """Name and folder of a Tune trial; each leg of a trial of a population has its own."""
    leg = trial.config["leg"]
    return f"trial-{trial.config['trial']:05d}" + (f"-{leg}" if leg else "")


def run_session(
    launch: Launch,
    home: Home,
    trainable: Trainable,
    uri: str,
    profile: Profile,
    concurrency: int | None,
    watch: Watch,
    fresh: bool,
    extend: int = 0,
) -> Outcome:
    """Run a new sweep, or go on with one and `extend` more trials, until it is finished or interrupted."""
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch_place(launch.scratch), ignore_errors=True)  # with Ray, its writers end
        if fresh:  # what cannot run is refused before there is any trace of it
            stack.enter_context(_ray_with_room(launch, profile))
            launch.write()
        stack.enter_context(driver_lock(launch.folder))
        stack.enter_context(LibraryLog(launch.folder / "sweep.log"))
        session = Session(launch, home, trainable, uri, profile, watch)
        stack.callback(session.ledger.close)
        if not fresh and (extend or session.has_work):
            stack.enter_context(_ray_with_room(launch, profile))
        if extend:
            session.extend(extend)
        over = session.ledger.outcome
        session.ledger.begin_session()
        session.tracker.begin(launch.note, session.description, session.num_trials)
        watch.started(launch.sweep, launch.name, session.num_trials)
        session.recover()
        for record in session.ledger.trials.values():
            watch.trial_update(session.row(record))
        stop = StopRequest(session.seconds_left)
        if over or not session.num_left:
            watch.log(f"{launch.name} is {over or 'finished'} already: there is nothing left to run")
        elif not stop.stop_all():
            with interruptible(stop, watch), session.ended_with_ray(stop):
                try:
                    session.fit(concurrency, stop)
                except KeyboardInterrupt:  # the second one: at once
                    watch.log(f"interrupted; go on with: seisweep resume {launch.name}")
                    raise
                except Exception as error:  # Ray itself failed: what is written down is safe
                    logger.exception("Ray Tune ended")
                    if is_disk_full(error):
                        session.driver.recovery.end_for_disk(disk_full_line(error))
                    else:
                        watch.log(f"Ray ended the session: {one_line(error)}; see {launch.folder / 'sweep.log'}")
        outcome = session.finish(stop)
    watch.finished(outcome)
    return outcome


@contextmanager
def _ray_with_room(launch: Launch, profile: Profile) -> Iterator[None]:
    """A Ray on which at least one trial fits. Raises ValueError where there is none."""
    wanted = Resources(launch.sweep, profile)
    with connected(profile):
        trials_at_a_time(wanted, None)
        yield
