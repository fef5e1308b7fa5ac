"""From a launch to its outcome: its lock, its logs, Ray, one session, and whatever ends that."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from seisweep.cluster import Resources, connected, trials_at_a_time
from seisweep.config import Profile
from seisweep.faults import disk_full_line, is_disk_full, one_line
from seisweep.home import Home
from seisweep.launch import Launch, driver_lock
from seisweep.progress import Outcome
from seisweep.quiet import LibraryLog
from seisweep.runners import scratch_place
from seisweep.session import Session
from seisweep.stopping import StopRequest, interruptible
from seisweep.trainables import Trainable
from seisweep.watch import Watch

logger = logging.getLogger(__name__)


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
