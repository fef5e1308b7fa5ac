"""Profiles: where a sweep runs, as a small TOML file."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from seisweep.settings.fields import nearest
from seisweep.settings.overrides import build_config
from trainables.config import Config

PROFILES = Path(__file__).with_name("profiles")

OF_THE_JOB = "SEISWEEP_JOB_PROFILE"
"""Variable of the environment: the profile of a job of a cluster, which has no file of it, as JSON."""

_DEFAULTED = re.compile(r"\$\{(\w+):-(.*)\}")


class Profile(Config):
    """Where a sweep runs. A profile is a TOML file of these fields.

    `"$NAME"` takes an environment variable, which must be set; `"${NAME:-text}"` takes the text where it is not.
    """

    name: str = "local"
    """What the profile is called in tags and messages."""

    tracking_uri: str | None = None
    """MLflow tracking server; default: a sqlite file in the home."""

    storage_path: str | None = None
    """Folder or URI for checkpoints, which every node must reach; default: `sweeps` in the home."""

    storage_endpoint: str | None = None
    """S3 server for `storage_path`, where it is not Amazon's, as http://HOST:PORT; default: AWS_ENDPOINT_URL. Each node
    takes its keys from its environment or its role."""

    ray_address: str | None = None
    """"auto" or an address connects to a running Ray cluster; default: a local Ray is started."""

    submit_to: str | None = None
    """Job server of a Ray cluster, as http://HEAD:8265 (the address of its dashboard). `run`, `train`, `resume` and
    `confirm` then run on the cluster as a job, and this machine need not be one of its nodes. Default: they run
    here."""

    job_home: str | None = None
    """Home that jobs on the cluster use: an absolute path that every node reaches and that outlives the cluster."""

    carry: tuple[str, ...] = ()
    """Names of environment variables that jobs and trials get from this machine; variables that are not set here are
    left out."""

    pip: tuple[str, ...] = ()
    """Packages that Ray installs on the nodes for the sweep, as pip names them."""

    working_dir: str | None = None
    """Folder of this machine, up to 100 MB, that is copied to every node, so that trials find your own modules."""

    token_file: str | None = None
    """File with the token of the Ray cluster; default: RAY_AUTH_TOKEN, the file of RAY_AUTH_TOKEN_PATH,
    ~/.ray/auth_token."""

    resubmit: int = Field(3, ge=0)
    """How often a job is submitted again after it was killed or its node died; the sweep goes on in the new job."""

    runner: Literal["in-process", "ray-train"] = "in-process"
    """in-process: the trial's own process trains (one worker). ray-train: workers of Ray Train do."""

    workers: int = Field(1, ge=1)
    """Number of Ray Train workers that train a trial together."""

    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of a worker."""

    gpus_per_worker: float = Field(0, ge=0)
    """GPUs of a worker; with a fraction, several workers share one GPU."""

    memory_gb_per_worker: float | None = Field(None, gt=0)
    """Memory (GiB) that a worker may use. Trials are placed where it is free, and a trial that uses more fails.
    Default: no limit."""

    retry_oom: bool = False
    """A trial that runs out of memory goes on with half the batch and twice the accumulation, instead of failing."""

    report_timeout_s: float = Field(7200, ge=0)
    """Seconds without a report after which a trial counts as hung and fails; 0: never."""

    disk_budget_gb: float | None = Field(None, gt=0)
    """Disk space (GB) that the checkpoints of a sweep may use; default: all that is free."""

    tracking_deadline_s: float = Field(120, ge=0)
    """Seconds that the end of a sweep waits for one answer of MLflow; in all it waits five times as long. `resume`
    writes what MLflow still lacks then."""

    max_concurrency: int | None = Field(None, ge=1)
    """Most trials that run at the same time; default: as many as the resources allow."""


def load_profile(name_or_path: str = "local", folder: Path | None = None) -> Profile:
    """A profile by file (any path that ends in .toml), or by name: one in `folder`, or a built-in one."""
    if (sent := _of_the_job(name_or_path)) is not None:
        return sent
    own = folder or Path("profiles")
    known = {file.stem: file for where in (PROFILES, own) for file in sorted(where.glob("*.toml"))}
    path = Path(name_or_path) if name_or_path.endswith(".toml") else known.get(name_or_path)
    if path is None:
        raise ValueError(f"no profile named {name_or_path}{nearest(name_or_path, known)}; or give a .toml file")
    try:
        settings = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"profile {path}: {error.strerror or error}") from None
    except RecursionError:
        raise ValueError(f"profile {path} is not valid TOML: its brackets are nested too deeply") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"profile {path} is not valid TOML: {error}") from None
    try:
        filled = {key: _from_environment(key, value) for key, value in settings.items()}
        return build_config(Profile, {"name": path.stem, **filled})
    except ValueError as error:
        raise ValueError(f"profile {path.stem}: {error}") from None


def with_limits(profile: Profile, limits: Mapping[str, Any]) -> Profile:
    """The profile with what was given on the command line (None: not given). Raises ValueError in one line."""
    given = {key: value for key, value in limits.items() if value is not None}
    return build_config(Profile, profile.model_dump() | given) if given else profile


def _of_the_job(name: str) -> Profile | None:
    """In a job of a cluster, the profile that it was submitted with, by its name. Raises ValueError."""
    sent = json.loads(os.environ.get(OF_THE_JOB) or "{}")
    if sent.get("name") != name:
        return None
    try:
        return build_config(Profile, sent)
    except ValueError as error:
        raise ValueError(f"profile {name}, from another version of seisweep: {error}") from None


def _from_environment(key: str, value: Any) -> Any:
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    if defaulted := _DEFAULTED.fullmatch(value):
        return os.environ.get(defaulted[1]) or defaulted[2] or None
    if not (found := os.environ.get(value[1:])):
        raise ValueError(f"{key} comes from the environment variable {value[1:]}, which is not set")
    return found
