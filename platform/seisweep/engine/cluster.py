"""Ray: start a local one or connect, quietly, and work out how many trials fit."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from search_spaces.sweep import Sweep
from seisweep.engine.access import check_answer, no_answer
from seisweep.engine.luggage import for_trials
from seisweep.engine.stopping import give_back
from seisweep.private.ray import closed_to_others, process_group_of_its_own, resources_of_this_machine
from seisweep.settings.interrupts import interrupts_wait
from seisweep.settings.profile import Profile
from seisweep.workers.trial import TRIAL_MEMORY_BYTES
from trainables.environment import variables


@contextmanager
def connected(profile: Profile) -> Iterator[str]:
    """A Ray to run on, and the address of its dashboard, where it has one. One that is there already is used and left
    as it is; of one that is started here nothing is left, also where that is interrupted."""
    if ray.is_initialized():
        yield ""
        return
    with _sigterm_given_back():
        try:
            with interrupts_wait():  # a Ray that was interrupted in its start ends the process where it starts again
                dashboard = _started_or_found(profile)
            yield dashboard
        finally:
            with interrupts_wait():
                ray.shutdown()


def _started_or_found(profile: Profile) -> str:
    """The address of its dashboard."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if profile.ray_address:
            found = ray.init(profile.ray_address, runtime_env=for_trials(profile), **options)
            return f"http://{found.dashboard_url}" if found.dashboard_url else ""
        with import_path_shared(), process_group_of_its_own(), closed_to_others() as closed:
            ray.init("local", include_dashboard=False, **closed, **options)
            return ""
    except (ConnectionError, RuntimeError) as error:
        if not profile.ray_address:
            raise
        raise no_answer(profile.ray_address, error) from None


@contextmanager
def _sigterm_given_back() -> Iterator[None]:
    """Ray takes SIGTERM for itself where it starts, and keeps it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        give_back({signal.SIGTERM: before})


def check_place(profile: Profile, wanted: Resources) -> None:
    """A trial fits on this machine, or a cluster answers and lets it in. Starts nothing.

    Raises ValueError in one line.
    """
    if ray.is_initialized():
        return
    if profile.ray_address:
        check_answer(profile.ray_address, profile)
    elif workers_on(here := resources_of_this_machine(), wanted) < wanted.workers:
        raise does_not_fit(wanted, here)


@contextmanager
def import_path_shared() -> Iterator[None]:
    """Processes that this one starts meanwhile find a user's modules where this one finds them."""
    installed = (sys.prefix, sys.base_prefix)
    own = [str(Path(entry).absolute()) for entry in sys.path if not entry.startswith(installed)]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    with variables(PYTHONPATH=os.pathsep.join(dict.fromkeys(path for path in [*given, *own] if path))):
        yield


def trials_at_a_time(wanted: Resources, at_most: int | None) -> int:
    """How many trials fit on the cluster. Raises ValueError where not even one does."""
    fitting = sum(workers_on(node["Resources"], wanted) for node in ray.nodes() if node["Alive"])
    if fitting < wanted.workers:
        raise does_not_fit(wanted, ray.cluster_resources())
    return min(fitting // wanted.workers, at_most or fitting)


def does_not_fit(wanted: Resources, total: Mapping[str, float]) -> ValueError:
    """What is wrong where not even one trial fits into all there is."""
    asked = f"{wanted.workers} worker{'s' if wanted.workers > 1 else ''} of {wanted.cpus:g} CPU"
    asked += f" and {wanted.gpus:g} GPU" if wanted.gpus else ""
    asked += f" and {wanted.memory_gb:g} GB of memory" if wanted.memory_gb else ""
    there = f"{total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU"
    there += f" and {total.get('memory', 0) / 2**30:.1f} GB of memory" if wanted.memory_gb else ""
    return ValueError(f"a trial of {asked} does not fit: the machines have {there} in all")


def _times(there: float, each: float) -> int:
    """How often `each` goes into what is there; a share next to nothing is no more than often."""
    return int(min(there / each + 1e-9, 1e6))


def workers_on(resources: Mapping[str, float], wanted: Resources) -> int:
    """How many workers fit on a node with these resources."""
    fitting = _times(resources.get("CPU", 0), wanted.cpus)
    if wanted.memory_gb:
        each = wanted.memory_gb * 2**30 + (TRIAL_MEMORY_BYTES if wanted.ray_train else 0)
        fitting = min(fitting, int(resources.get("memory", 0) / each))
    if wanted.gpus >= 1:
        fitting = min(fitting, _times(resources.get("GPU", 0), wanted.gpus))
    elif wanted.gpus:
        fitting = min(fitting, int(resources.get("GPU", 0)) * _times(1, wanted.gpus))
    return fitting


class Resources:
    """Workers and their sizes: what the sweep says, else what the profile says."""

    def __init__(self, sweep: Sweep, profile: Profile) -> None:
        self.workers = sweep.workers or profile.workers
        self.cpus = sweep.cpus_per_worker or profile.cpus_per_worker
        self.gpus = profile.gpus_per_worker if sweep.gpus_per_worker is None else sweep.gpus_per_worker
        self.memory_gb = sweep.memory_gb_per_worker or profile.memory_gb_per_worker
        self.ray_train = profile.runner == "ray-train" or self.workers > 1
