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
    """Folder or URI that every node reaches, for checkpoints; default: sweeps in the home."""

    storage_endpoint: str | None = None
    """An S3 server other than Amazon's, as http://HOST:PORT; default: AWS_ENDPOINT_URL. Keys come from the environment
    of each node, or from its role."""

    ray_address: str | None = None
    """"auto" or an address connects to a running Ray cluster; default: a local Ray is started."""

    submit_to: str | None = None
    """Job server of a Ray cluster, as http://HEAD:8265 (the address of its dashboard): `run`, `train`, `resume` and
    `confirm` run there as a job, from a machine that is no node of it. Default: they run here."""

    job_home: str | None = None
    """Home of jobs on the cluster: an absolute path that every node reaches and that outlives the cluster."""

    carry: tuple[str, ...] = ()
    """Names of environment variables that go along, to jobs and to the processes of trials; those that are not set
    here do not."""

    pip: tuple[str, ...] = ()
    """Packages that Ray installs on the nodes for this work, as pip names them."""

    working_dir: str | None = None
    """A folder of this machine, up to 100 MB, that is copied to every node: there trials find your own modules."""

    token_file: str | None = None
    """File with the token of the Ray cluster; default: RAY_AUTH_TOKEN, the file of RAY_AUTH_TOKEN_PATH,
    ~/.ray/auth_token."""

    resubmit: int = Field(3, ge=0)
    """How often a job is submitted again that has died with its node, or was killed; the sweep goes on in it."""

    runner: Literal["in-process", "ray-train"] = "in-process"
    """The trial itself runs the training loop (one worker), or Ray Train workers run it."""

    workers: int = Field(1, ge=1)
    """Ray Train workers of a trial."""

    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of a worker."""

    gpus_per_worker: float = Field(0, ge=0)
    """GPUs of a worker; a fraction shares one."""

    memory_gb_per_worker: float | None = Field(None, gt=0)
    """Memory (GiB) that a worker may take: it counts when trials are placed, and one that takes more fails.
    Default: no limit."""

    retry_oom: bool = False
    """A trial that runs out of memory goes on with half the batch and twice the accumulation, instead of failing."""

    report_timeout_s: float = Field(7200, ge=0)
    """A trial that reports nothing for so long has hung and fails; 0: never."""

    disk_budget_gb: float | None = Field(None, gt=0)
    """What the checkpoints of a sweep may take (GB); default: all that is free."""

    tracking_deadline_s: float = Field(120, ge=0)
    """So long the end of a sweep waits for an answer of MLflow (s), and five times as long in all; what it lacks then
    `resume` brings later."""

    max_concurrency: int | None = Field(None, ge=1)
    """Upper bound of trials at a time; default: as many as the resources allow."""


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
        raise ValueError(f"profile {path} is no TOML: its brackets lie too deep in each other") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"profile {path} is no TOML: {error}") from None
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
