"""Sweeps as jobs of a Ray cluster, through Ray's job client: submitted, listed, read and ended from any machine.

A job is a command line of seisweep on some node of the cluster, with the profile's `job_home` as its home, where the
sweep lives on when the job is over. It is called `seisweep-NAME-N`: the Nth job of the sweep NAME. It takes no CPU and
no GPU, so that it fits on any node; where it dies with its node, another one goes on with the sweep.
"""

from __future__ import annotations

import json
import re
import shlex
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from seisweep.engine.job import AGAIN, KIND, LOST, NO_DRIVER_HERE, NOTE, REQUEST, SWEEP, Job
from seisweep.engine.luggage import carried, packed
from seisweep.settings import in_a_job, ray_token
from seisweep.settings.home import lies_with_ray
from seisweep.settings.profile import OF_THE_JOB, Profile
from seisweep.settings.ray_token import find_token, warn_of_open_cluster

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

CONNECT_S, ANSWER_S = 5, 15
"""How long a job server may take to take the first call, and to answer it."""

NO_AGENT_YET = "No available agent"
AGENT_WAIT_S, AGENT_ASK_EVERY_S = 60.0, 1.0
"""A cluster that has just begun takes jobs only when its head has its agent; so long it is waited for."""

STOP_WAIT_S = 120
"""So much longer than MLflow is waited for at the end of a sweep, a driver that is asked to stop may take."""

_ENTRYPOINT = (
    '[ -d {parent} ] || {{ echo "seisweep: the home of jobs is to lie in {parent}, which is not on $(hostname)"; '
    "exit {code}; }}; python -c 'import seisweep' || {{ echo \"seisweep: it is not installed for the python of "
    '$(hostname), $(command -v python || echo none)"; exit {code}; }}; exec python -m seisweep.cli {command}'
)
_NODE = "ray.io/node-id"


class SilentServerError(ValueError):
    """The job server does not answer now."""


class NoAgentError(ValueError):
    """The head has no agent, which takes jobs: not yet, or for ever."""


class JobExistsError(ValueError):
    """Somebody else has submitted this job a moment ago."""


def check(profile: Profile) -> None:
    """What a job needs is in the profile and on this machine. Asks nobody. Raises ValueError in one line."""
    said = f"of profile {profile.name}"
    place = urlsplit(profile.submit_to or "")
    if place.scheme not in ("http", "https") or not place.hostname or place.path.strip("/"):
        raise ValueError(
            f"submit_to = {profile.submit_to} {said}: give the job server of the cluster, http://HEAD:8265"
        )
    if not profile.job_home:
        raise ValueError(f"submit_to {said} needs job_home: a folder for the home of jobs that every node reaches")
    if not PurePosixPath(profile.job_home).is_absolute() or PurePosixPath(profile.job_home).parent == PurePosixPath(
        "/"
    ):
        raise ValueError(
            f"job_home = {profile.job_home} {said}: give an absolute path of the cluster, /shared/seisweep"
        )
    if lies_with_ray(profile.job_home):
        raise ValueError(
            f"job_home = {profile.job_home} {said} lies in Ray's temporary folders, which go with the cluster: give a "
            "folder that outlives it"
        )
    storage = profile.storage_path or "/"
    if "://" not in storage and not PurePosixPath(storage).is_absolute():
        raise ValueError(f"storage_path = {storage} {said}: give an absolute path of the cluster, or a URI")
    carried(profile), packed(profile), find_token(profile)


class Server:
    """The job server of a cluster. Everything it does raises ValueError in one line."""

    def __init__(self, profile: Profile) -> None:
        """Asks whether it is there and lets this machine in; says once where it lets in anybody."""
        from seisweep.private.ray import job_client

        check(profile)
        self.profile = profile
        self.address = (profile.submit_to or "").rstrip("/")
        self._headers = _that_let_in(self.address, profile)
        with self._answers():
            self._client: JobSubmissionClient = job_client(self.address, self._headers)

    def jobs(self, sweep: str | None = None) -> list[Job]:
        """Those of seisweep, or of one sweep, the latest last."""
        with self._answers():
            found = [job for details in self._client.list_jobs() if (job := Job.of(details)) is not None]
        return sorted(
            (job for job in found if sweep in (None, job.sweep)), key=lambda job: (job.started_ms, job.number)
        )

    def latest(self, sweep: str) -> Job | None:
        return next(reversed(self.jobs(sweep)), None)

    def look(self, job: Job) -> Job:
        """The same job as it stands now; one that the cluster does not know any more has died with it."""
        try:
            with self._answers():
                now = Job.of(self._client.get_job_info(job.id))
        except ValueError as error:
            if "does not exist" not in str(error):
                raise
            return replace(job, status="FAILED", error=LOST, driver_exit_code=None)
        assert now is not None
        return now

    def log(self, job: Job) -> str | None:
        """All that it has written so far; None where its node does not answer, which has the file."""
        try:
            with self._answers():
                return self._client.get_job_logs(job.id)
        except ValueError:
            return None

    def submit(self, sweep: str, command: Sequence[str], *, kind: str = "", note: str = "") -> Job:
        """The command as the next job of a sweep. Raises JobExistsError where another user's has come first."""
        entrypoint = _ENTRYPOINT.format(
            parent=shlex.quote(str(PurePosixPath(self.profile.job_home or "").parent)),
            code=NO_DRIVER_HERE,
            command=shlex.join(command),
        )
        number = 1 + max((job.number for job in self.jobs(sweep)), default=0)
        said = {SWEEP: sweep, KIND: kind, NOTE: note, REQUEST: uuid.uuid4().hex}
        return self._submit(number, entrypoint, said)

    def submit_again(self, job: Job) -> Job | None:
        """Another job in the place of one that has died or found no place; None where that makes no sense any more."""
        if job.has_died and job.again >= self.profile.resubmit:
            return None
        before = [one for one in self.jobs(job.sweep) if one.request == job.request]
        no_place = [one.node for one in before if one.found_no_place and one.node]
        if job.found_no_place and not set(self._nodes()) - set(no_place):
            return None
        said = {SWEEP: job.sweep, KIND: job.kind, NOTE: job.note, REQUEST: job.request}
        said[AGAIN] = str(job.again + job.has_died)
        try:
            return self._submit(job.number + 1, job.entrypoint, said, no_place, in_a_job.AGAIN)
        except JobExistsError:  # whoever else follows it was faster
            return self.latest(job.sweep)

    def stop(self, job: Job) -> None:
        """Ask it to end as Ctrl-C does. Ray kills it where it takes longer than its profile lets it."""
        with self._answers():
            self._client.stop_job(job.id)

    def forget(self, job: Job) -> None:
        """Take one that is over from the cluster's list."""
        with self._answers():
            self._client.delete_job(job.id)

    def _submit(
        self, number: int, entrypoint: str, said: dict[str, str], but_on: Sequence[str] = (), *flags: str
    ) -> Job:
        id = f"seisweep-{said[SWEEP]}-{number}"
        variables = self._variables() | {in_a_job.JOB: said[REQUEST]} | dict.fromkeys(flags, "1")
        environment = packed(self.profile) | {"env_vars": variables}
        deadline_s = time.monotonic() + AGENT_WAIT_S
        while True:
            try:
                with self._answers():
                    self._client.submit_job(
                        entrypoint=entrypoint,
                        submission_id=id,
                        runtime_env=environment,
                        metadata=dict(said),
                        entrypoint_label_selector={_NODE: f"!in({','.join(but_on)})" if but_on else "!none"},
                    )
                break
            except NoAgentError:
                if time.monotonic() >= deadline_s:
                    raise
            except ValueError as error:
                if "already exists" in str(error):
                    raise JobExistsError(f"{said[SWEEP]} has just been submitted by somebody else") from None
                raise
            time.sleep(AGENT_ASK_EVERY_S)
        return Job(id, said[SWEEP], "PENDING", entrypoint, request=said[REQUEST], again=int(said.get(AGAIN, 0)))

    def _variables(self) -> dict[str, str]:
        """The environment of a job: what the profile carries, the profile itself, and how Ray is to end it."""
        sent = self.profile.model_copy(
            update={"submit_to": None, "token_file": None, "working_dir": None, "pip": (), "ray_address": "auto"}
        )
        return carried(self.profile) | {
            "SEISWEEP_HOME": self.profile.job_home or "",
            OF_THE_JOB: json.dumps(sent.model_dump(mode="json", exclude_defaults=True) | {"name": sent.name}),
            "RAY_JOB_STOP_SIGNAL": "SIGINT",
            "RAY_JOB_STOP_WAIT_TIME_S": str(int(self.profile.tracking_deadline_s) + STOP_WAIT_S),
        }

    def _nodes(self) -> list[str]:
        """Ids of the nodes that are alive."""
        with self._answers():
            answer = requests.get(
                f"{self.address}/api/v0/nodes", headers=self._headers, timeout=(CONNECT_S, ANSWER_S)
            ).json()
        return [node["node_id"] for node in answer["data"]["result"]["result"] if node["state"] == "ALIVE"]

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """What goes wrong in a call, as ValueError in one line."""
        try:
            yield
        except (requests.RequestException, OSError) as error:
            raise SilentServerError(f"the job server {self.address} does not answer: {_reason(error)}") from None
        except (RuntimeError, ValueError) as error:
            if isinstance(error, SilentServerError | JobExistsError):
                raise
            if NO_AGENT_YET in str(error):
                raise NoAgentError(
                    f"the job server {self.address} takes no job: its head has no agent, as where another Ray on that "
                    "machine has port 52365; start the head with --dashboard-agent-listen-port=0"
                ) from None
            last = [line for line in str(error).strip(" .\n").splitlines() if line.strip()][-1:]
            raise ValueError(
                f"the job server {self.address} refuses: {' '.join(' '.join(last).split())[:300]}"
            ) from None


def _that_let_in(address: str, profile: Profile) -> dict[str, str]:
    """The headers with which a job server lets this machine in; none where it lets in anybody."""

    def ask(headers: Mapping[str, str]) -> int:
        try:
            answer = requests.get(f"{address}/api/version", headers=headers, timeout=(CONNECT_S, ANSWER_S))
        except (requests.RequestException, OSError) as error:
            raise SilentServerError(f"no job server answers at {address}: {_reason(error)}") from None
        if answer.status_code not in (401, 403) and "ray_version" not in answer.text:
            raise ValueError(f"{address} is not the address of a job server of Ray: give http://HEAD:8265 in submit_to")
        return answer.status_code

    if ask({}) not in (401, 403):
        warn_of_open_cluster(address, urlsplit(address).hostname or "")
        return {}
    token = find_token(profile)
    if token is None or ask(token.headers) in (401, 403):
        raise ray_token.refused(address, token)
    return token.headers


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "nothing came in time"
    inner = re.search(r"\[Errno [^]]*\] ([^'\")]*)", str(error))
    return inner.group(1) if inner else " ".join(str(error).split())[:200]
