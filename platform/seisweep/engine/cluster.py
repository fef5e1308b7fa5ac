"""Ray: start a local one or connect, quietly, and work out how many trials fit."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from search_spaces.sweep import Sweep
from seisweep.private.ray import process_group_of_its_own
from seisweep.quiet import ENVIRONMENT
from seisweep.settings.profile import Profile
from seisweep.workers.trial import TRIAL_MEMORY_BYTES


@contextmanager
def connected(profile: Profile) -> Iterator[None]:
    """A Ray to run on. One that is there already is used and left as it is."""
    if ray.is_initialized():
        yield
        return
    options = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if profile.ray_address:
            ray.init(profile.ray_address, runtime_env={"env_vars": ENVIRONMENT}, **options)
        else:
            share_import_path()
            with process_group_of_its_own():
                ray.init("local", include_dashboard=False, **options)
    except ConnectionError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"no Ray cluster answers at {profile.ray_address}: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()


def share_import_path() -> None:
    """Processes that this one starts find a user's modules where this one finds them."""
    installed = (sys.prefix, sys.base_prefix)
    own = [str(Path(entry).absolute()) for entry in sys.path if not entry.startswith(installed)]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in [*given, *own] if path))


def trials_at_a_time(wanted: Resources, at_most: int | None) -> int:
    """How many trials fit on the cluster. Raises ValueError where not even one does."""
    fitting = sum(_workers_on(node["Resources"], wanted) for node in ray.nodes() if node["Alive"])
    if fitting < wanted.workers:
        total = ray.cluster_resources()
        asked = f"{wanted.workers} worker{'s' if wanted.workers > 1 else ''} of {wanted.cpus:g} CPU"
        asked += f" and {wanted.gpus:g} GPU" if wanted.gpus else ""
        asked += f" and {wanted.memory_gb:g} GB of memory" if wanted.memory_gb else ""
        there = f"{total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU"
        there += f" and {total.get('memory', 0) / 2**30:.1f} GB of memory" if wanted.memory_gb else ""
        raise ValueError(f"a trial of {asked} does not fit: the machines have {there} in all")
    return min(fitting // wanted.workers, at_most or fitting)


def _workers_on(resources: dict[str, float], wanted: Resources) -> int:
    fitting = int(resources.get("CPU", 0) / wanted.cpus + 1e-9)
    if wanted.memory_gb:
        each = wanted.memory_gb * 2**30 + (TRIAL_MEMORY_BYTES if wanted.ray_train else 0)
        fitting = min(fitting, int(resources.get("memory", 0) / each))
    if wanted.gpus >= 1:
        fitting = min(fitting, int(resources.get("GPU", 0) / wanted.gpus + 1e-9))
    elif wanted.gpus:
        fitting = min(fitting, int(resources.get("GPU", 0)) * int(1 / wanted.gpus + 1e-9))
    return fitting


class Resources:
    """Workers and their sizes: what the sweep says, else what the profile says."""

    def __init__(self, sweep: Sweep, profile: Profile) -> None:
        self.workers = sweep.workers or profile.workers
        self.cpus = sweep.cpus_per_worker or profile.cpus_per_worker
        self.gpus = profile.gpus_per_worker if sweep.gpus_per_worker is None else sweep.gpus_per_worker
        self.memory_gb = sweep.memory_gb_per_worker or profile.memory_gb_per_worker
        self.ray_train = profile.runner == "ray-train" or self.workers > 1
