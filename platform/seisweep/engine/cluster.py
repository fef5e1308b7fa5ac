"""Ray: start a local one or connect, quietly, and work out how many trials fit."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import ray

from search_spaces.sweep import Sweep
from seisweep.private.ray import (
    IS_ALIVE,
    closed_to_others,
    host_and_port,
    process_group_of_its_own,
    resources_of_this_machine,
)
from seisweep.quiet import ENVIRONMENT
from seisweep.settings.profile import Profile
from seisweep.workers.faults import one_line
from seisweep.workers.trial import TRIAL_MEMORY_BYTES

CONNECT_TIMEOUT_S = 10
"""A cluster that has not answered by then is not there."""


@contextmanager
def connected(profile: Profile) -> Iterator[None]:
    """A Ray to run on. One that is there already is used and left as it is."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if profile.ray_address:
            ray.init(profile.ray_address, runtime_env={"env_vars": ENVIRONMENT}, **options)
        else:
            share_import_path()
            with process_group_of_its_own(), closed_to_others() as closed:
                ray.init("local", include_dashboard=False, **closed, **options)
    except (ConnectionError, RuntimeError) as error:
        if not profile.ray_address:
            raise
        raise _no_answer(profile.ray_address, error) from None
    try:
        yield
    finally:
        ray.shutdown()


def check_place(profile: Profile, wanted: Resources) -> None:
    """A trial fits on this machine, or a cluster answers within `CONNECT_TIMEOUT_S`. Starts nothing.

    Raises ValueError in one line.
    """
    if ray.is_initialized():
        return
    if profile.ray_address:
        check_answer(profile.ray_address)
    elif _workers_on(here := resources_of_this_machine(), wanted) < wanted.workers:
        raise _does_not_fit(wanted, here)


def check_answer(address: str) -> None:
    """A Ray cluster answers there. Ray itself would wait for minutes. Raises ValueError in one line."""
    if address.startswith("ray://"):
        raise ValueError(
            f"ray_address = {address}: a sweep does not run through Ray's client; start it on a machine of the cluster "
            'with ray_address = "auto" or HOST:6379'
        )
    found: list[Exception | None] = []

    def ask() -> None:
        try:
            _ask(address)
            found.append(None)
        except (OSError, ValueError) as error:
            found.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # a name server that is silent holds it up
    asking.start()
    asking.join(CONNECT_TIMEOUT_S)
    error = found[0] if found else ConnectionError(f"silence for {CONNECT_TIMEOUT_S} s")
    if error is not None:
        raise _no_answer(address, error)


def _ask(address: str) -> None:
    """Raises OSError or ValueError where nothing listens, or something that knows no Ray."""
    host, port = host_and_port(address)
    socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    if os.environ.get("RAY_USE_TLS"):  # certificates
        return
    with grpc.insecure_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") as channel:
        try:
            channel.unary_unary(IS_ALIVE)(b"", timeout=CONNECT_TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:  # a Ray that wants its token is one
                raise ConnectionError("what listens there is no Ray") from None


def _no_answer(address: str, error: Exception) -> ValueError:
    return ValueError(f"no Ray cluster answers at {address}: {one_line(error)}")


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
        raise _does_not_fit(wanted, ray.cluster_resources())
    return min(fitting // wanted.workers, at_most or fitting)


def _does_not_fit(wanted: Resources, total: Mapping[str, float]) -> ValueError:
    asked = f"{wanted.workers} worker{'s' if wanted.workers > 1 else ''} of {wanted.cpus:g} CPU"
    asked += f" and {wanted.gpus:g} GPU" if wanted.gpus else ""
    asked += f" and {wanted.memory_gb:g} GB of memory" if wanted.memory_gb else ""
    there = f"{total.get('CPU', 0):g} CPU and {total.get('GPU', 0):g} GPU"
    there += f" and {total.get('memory', 0) / 2**30:.1f} GB of memory" if wanted.memory_gb else ""
    return ValueError(f"a trial of {asked} does not fit: the machines have {there} in all")


def _times(there: float, each: float) -> int:
    """How often `each` goes into what is there; a share next to nothing is no more than often."""
    return int(min(there / each + 1e-9, 1e6))


def _workers_on(resources: dict[str, float], wanted: Resources) -> int:
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
