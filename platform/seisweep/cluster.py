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
from seisweep.config import Profile
from seisweep.quiet import ENVIRONMENT


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


def trials_at_a_time(workers: int, cpus: float, gpus: float, wanted: int | None) -> int:
    """How many trials of so many workers fit on the cluster. Raises ValueError where not even one does."""
    fitting = sum(_workers_on(node["Resources"], cpus, gpus) for node in ray.nodes() if node["Alive"])
    if fitting < workers:
        total = ray.cluster_resources()
        asked = f"{workers} worker{'s' if workers > 1 else ''} of {cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
        there = f"{total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU"
        raise ValueError(f"a trial of {asked} does not fit: the machines have {there} in all")
    return min(fitting // workers, wanted or fitting)


def _workers_on(resources: dict[str, float], cpus: float, gpus: float) -> int:
    by_cpu = int(resources.get("CPU", 0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    if gpus >= 1:
        return min(by_cpu, int(resources.get("GPU", 0) / gpus + 1e-9))
    return min(by_cpu, int(resources.get("GPU", 0)) * int(1 / gpus + 1e-9))


class Resources:
    """Workers and their sizes: what the sweep says, else what the profile says."""

    def __init__(self, sweep: Sweep, profile: Profile) -> None:
        self.workers = sweep.workers or profile.workers
        self.cpus = sweep.cpus_per_worker or profile.cpus_per_worker
        self.gpus = profile.gpus_per_worker if sweep.gpus_per_worker is None else sweep.gpus_per_worker
        self.ray_train = profile.runner == "ray-train" or self.workers > 1
