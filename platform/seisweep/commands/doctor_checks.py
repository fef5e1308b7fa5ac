"""`seisweep doctor`: what is installed, what can be reached, and what would fail."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import store_by_default
from trainables.foreshock_extra import PACKAGES as FORESHOCK
from trainables.foreshock_extra import require_foreshock

PACKAGES = (
    "ray",
    "torch",
    "seisbench",
    "optuna",
    "mlflow",
    "onnx",
    "onnxruntime",
    "obspy",
    "pandas",
    "numpy",
)
MIN_SHARED_MEMORY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Check:
    """One line of the report. `fails` means that a sweep would not run."""

    what: str
    state: Literal["ok", "note", "fails"]
    detail: str


def examine(home: Home, profile: Profile) -> Iterator[Check]:
    """Every check, one after the other; none of them writes or starts anything that stays."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        yield _guarded(package, lambda package=package: _imports(package))  # type: ignore[misc]
    yield _guarded("foreshock", _foreshock)
    yield _guarded("processor", _processor)
    yield _guarded("gpu", _gpu)
    yield _guarded("home", lambda: _home(home))
    yield _guarded("shared memory", _shared_memory)
    yield _guarded("tracking", lambda: _tracking(home, profile))
    if profile.submit_to:
        yield _guarded("job server", lambda: _job_server(profile))


def _guarded(what: str, examine_one: Callable[[], tuple[Literal["ok", "note", "fails"], str]]) -> Check:
    """A check that cannot be carried out is a check that fails."""
    try:
        return Check(what, *examine_one())
    except Exception as error:
        return Check(what, "fails", " ".join(f"{type(error).__name__}: {error}".split())[:300])


def _imports(package: str) -> tuple[Literal["ok"], str]:
    importlib.import_module(package)
    return "ok", importlib.metadata.version(package)


def _foreshock() -> tuple[Literal["ok", "note"], str]:
    try:
        require_foreshock()
    except ValueError as error:
        return "note", str(error)
    return "ok", ", ".join(f"{package} {importlib.metadata.version(package)}" for package in FORESHOCK)


def _processor() -> tuple[Literal["ok"], str]:
    import torch

    from trainables.training.precision import has_bf16

    fast = "computes in bfloat16" if has_bf16(torch.device("cpu")) else "no bfloat16: training runs in float32"
    return "ok", f"{os.cpu_count()} cores, {fast}"


def _gpu() -> tuple[Literal["ok", "note"], str]:
    import torch

    if not torch.cuda.is_available():
        return "note", "none: trials run on the processor"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return "ok", f"{', '.join(names)}; bfloat16 {'yes' if torch.cuda.is_bf16_supported() else 'no'}"


def _home(home: Home) -> tuple[Literal["ok"], str]:
    home.check()
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    created = "" if home.root.exists() else ", created on first use"
    return "ok", f"{home.root}{created}, {shutil.disk_usage(existing).free / 2**30:.0f} GB free"


def _shared_memory() -> tuple[Literal["ok", "note"], str]:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return "note", "no /dev/shm: Ray keeps its objects in /tmp, which is slower"
    free = shutil.disk_usage(folder).free
    small = free < MIN_SHARED_MEMORY_BYTES
    hint = "; in a container start it with --shm-size=2g" if small else ""
    return "note" if small else "ok", f"{free / 2**30:.1f} GB free{hint}"


def _tracking(home: Home, profile: Profile) -> tuple[Literal["ok"], str]:
    store = store_by_default(home, profile)
    if store.is_own and not home.database.exists():
        return "ok", f"{store.uri}, created on first use"
    reach_tracking(store.uri)
    return "ok", store.uri if store.is_own else f"{store.uri} ({store.chosen_by})"


def reach_tracking(uri: str) -> None:
    """Ask the tracking server for one experiment. Raises ValueError where it does not answer."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow import MlflowClient

    from seisweep.record.mlflow_answers import keeps_out, why_not_let_in

    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except Exception as error:
        if status := keeps_out(error):
            raise ValueError(f"the MLflow server {uri} does not let you in: {why_not_let_in(status)}") from None
        raise ValueError(f"the MLflow server {uri} does not answer: {' '.join(str(error).split())[:200]}") from None


def _job_server(profile: Profile) -> tuple[Literal["ok"], str]:
    from seisweep.engine.jobs import Server

    running = [job for job in Server(profile).jobs() if not job.is_over]
    return "ok", f"{profile.submit_to}, {len(running)} job{'s' if len(running) != 1 else ''} of seisweep under way"
