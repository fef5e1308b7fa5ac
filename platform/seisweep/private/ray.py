"""What seisweep takes of Ray that is not public. Imports neither torch nor what imports it."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray._private import ray_constants, services
from ray._private.authentication import authentication_token_setup
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
from ray._private.state import state as cluster_state
from ray._raylet import PlacementGroupID
from ray.core.generated.gcs_pb2 import GcsNodeInfo, PlacementGroupTableData
from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoReply, GetAllNodeInfoRequest
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer as DataParallelTrainer
from ray.tune.schedulers import ASHAScheduler
from ray.util.placement_group import PlacementGroup

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

USES = {
    "ray._private.ray_constants.ENABLE_RAY_CLUSTER": "a local Ray listens to this machine alone",
    "ray._private.ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR": "the same, for the processes that it starts",
    "ray._private.resource_and_label_spec.ResourceAndLabelSpec": "what cannot fit is known before Ray starts",
    "ray._private.services.canonicalize_bootstrap_address": "a cluster that does not answer is told from a slow one",
    "ray._private.services.find_node_ids": "a machine that is not a node of a cluster is told so at once",
    "ray.core.generated.gcs_service_pb2.GetAllNodeInfoRequest.state_filter": "the same",
    "ray.core.generated.gcs_service_pb2.GetAllNodeInfoReply.node_info_list": "the same",
    "ray.core.generated.gcs_pb2.GcsNodeInfo.node_manager_address": "and which machines are its nodes",
    "ray._private.authentication.authentication_token_setup.Config.initialize": "a token that a profile names counts",
    "ray._private.authentication.authentication_token_setup.AuthenticationTokenLoader.reset_cache": "the same",
    "ray.job_submission.JobSubmissionClient._do_request": "a job server that falls silent is noticed",
    "ray._private.services.ConsolePopen": "a local Ray gets a process group of its own, so that signals spare it",
    "ray._private.state.state": "placement groups that a dead trial has left behind are found",
    "ray._raylet.PlacementGroupID": "and removed",
    "ray.core.generated.gcs_pb2.PlacementGroupTableData.creator_actor_dead": "and told from those in use",
    "ray.train.v2._internal.callbacks.placement_group_callback.PlacementGroupCleanerCallback": "Train starts no "
    "process more for each trial",
    "ray.train.v2.api.data_parallel_trainer.DataParallelTrainer._create_default_callbacks": "the same; as its base "
    "class, where a `TorchTrainer` would take a second to import torch",
    "ray.train.v2._internal.exceptions.WorkerHealthCheckFailedError": "a dead worker is told from one that raised",
    "ray.train.v2._internal.exceptions.WorkerHealthCheckTimeoutError": "the same",
    "ray.tune.experiment.Trial.error_file": "why a trial's process died",
    "ray.tune.experiment.Trial.set_config": "a trial goes on with other settings",
    "ray.tune.experiment.trial._TemporaryTrialState": "the processes of a trial that hangs are killed",
    "ray._private.state.GlobalState._connect_and_get_accessor": "placement groups are listed with who made them",
}
"""Dotted name, and what would not work without it."""

IS_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""What every Ray of this version answers, by gRPC."""

NODES = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"
"""And this: which nodes it has."""

JOB_SERVER_TIMEOUT_S = (5, 15)
"""How long a job server may take to take a call, and to answer it (or to take the next piece of an upload)."""

LOOPBACK = "127.0.0.1"
"""Where a local Ray listens."""

MASK = "SEISWEEP_UMASK"
"""Variable of the environment: the mask of the user, for what trials write into the home."""

LONGEST_BASE = 25
"""Characters of the folder for temporary files: the names of Ray's sockets, which lie below it, may have 107."""

WORKER_DEATHS = (WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError)
"""What Train says of a worker whose process is gone."""


@contextmanager
def process_group_of_its_own() -> Iterator[None]:
    """A Ray that is started while this is open does not get the signals of this process's group.

    `timeout`, a batch system or a closing terminal tell the whole group: Ray would be gone before the driver could
    end the sweep. It still dies with the driver, by the kernel's hand. Ray itself does this on Windows.
    """
    before = services.ConsolePopen
    if sys.platform.startswith("linux"):
        services.ConsolePopen = partial(before, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = before


def resources_of_this_machine() -> dict[str, float]:
    """What a Ray that is started here will have: CPU, GPU and memory (bytes). Starts nothing."""
    spec = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address=LOOPBACK)
    return {"CPU": spec.num_cpus, "GPU": spec.num_gpus, "memory": spec.memory}


def host_and_port(address: str) -> tuple[str, int]:
    """Where `ray.init(address)` would connect to. Raises ConnectionError or ValueError where nowhere."""
    found = services.canonicalize_bootstrap_address(address)
    if not found:
        raise ConnectionError("no Ray runs on this machine, and the profile names no other in submit_to")
    host, _, port = found.rpartition(":")
    return host.strip("[]"), int(port)


def ask_for_nodes() -> bytes:
    """What is sent to NODES."""
    return GetAllNodeInfoRequest(state_filter=GcsNodeInfo.ALIVE).SerializeToString()


def nodes_in(answer: bytes) -> dict[str, str]:
    """The nodes that are alive, id and address, in what NODES answers."""
    found = GetAllNodeInfoReply.FromString(answer).node_info_list
    return {one.node_id.hex(): one.node_manager_address for one in found if one.state == GcsNodeInfo.ALIVE}


def nodes_of_this_machine() -> set[str]:
    """Ids of the nodes, of whatever cluster, that run here: to one of them Ray's drivers connect."""
    return set(services.find_node_ids())


def token_has_changed() -> None:
    """What the environment says of Ray's token has changed since Ray was imported."""
    authentication_token_setup.Config.initialize("")
    authentication_token_setup.AuthenticationTokenLoader.instance().reset_cache()


def job_client(address: str, headers: dict[str, str]) -> JobSubmissionClient:
    """Ray's client of a job server, which does not wait for ever. Asks the server for its version. Raises what Ray and
    `requests` raise."""
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, timeout=JOB_SERVER_TIMEOUT_S, **options)

    others = {name: os.environ.pop(name, None) for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")}
    try:  # what they say would count more than the address that is given
        return Client(address, headers=headers)
    finally:
        os.environ |= {name: value for name, value in others.items() if value is not None}


@contextmanager
def closed_to_others() -> Iterator[dict[str, Any]]:
    """Arguments of `ray.init` for a Ray that listens to this machine alone, and whose files, its token above all, this
    user alone reads. To be started while it is open.

    Every process of Ray opens its folders to everybody, whatever the mask says: they lie in one that is closed.
    """
    mask, before = os.umask(0o077), ray_constants.ENABLE_RAY_CLUSTER
    variable = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    said = os.environ.get(variable)
    os.environ |= {MASK: f"{mask:o}", variable: "0"}
    # As Ray is on machines where it makes no clusters: an address that it is given it takes for the network's.
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with suppress(OSError):  # of an earlier Ray, which nobody has told
            (Path.home() / ".ray" / "auth_token").chmod(0o600)
        yield {"_temp_dir": str(_closed_folder() / "ray")}
    finally:
        os.umask(mask)
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(variable)
        if said is not None:
            os.environ[variable] = said


def _closed_folder() -> Path:
    """This user's own, in the folder for temporary files; another one where somebody else has taken the name."""
    base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    base = base if len(base) <= LONGEST_BASE else "/tmp"
    folder = Path(base) / f"seisweep-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="seisweep-", dir=base))
    folder.chmod(0o700)
    return folder


def mask_of_the_user() -> None:
    """In a process of Ray: what it writes from now on has the modes that files of the user have."""
    if mask := os.environ.get(MASK):
        os.umask(int(mask, 8))


def orphaned_groups() -> list[PlacementGroup]:
    """Placement groups of this job that an actor made which is dead. Ray keeps them until the job ends.

    Its public table of groups leaves out who made one.
    """
    job_id = ray.get_runtime_context().job_id.binary()
    accessor = cluster_state._connect_and_get_accessor()
    groups = map(PlacementGroupTableData.FromString, accessor.get_placement_group_table())
    return [
        PlacementGroup(PlacementGroupID(group.placement_group_id))
        for group in groups
        if group.creator_job_id == job_id
        and group.creator_actor_id.strip(b"\xff")  # one that the driver made has none, and counts as orphaned
        and group.creator_actor_dead
        and group.state != PlacementGroupTableData.REMOVED
    ]


def without_group_cleaner(callbacks: list[Any]) -> list[Any]:
    """The callbacks of a Train controller without Ray's cleaner of placement groups."""
    return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]


def actor_of(trial: Any) -> Any:
    """The actor of a Tune trial under way. Tune has no public way to end one that does not wait for the trial."""
    return trial.temporary_state.ray_actor


class Brackets(ASHAScheduler):
    """Ray's ASHA with its brackets in the open: it draws a trial's bracket from numpy's global state."""

    @property
    def num_brackets(self) -> int:
        return len(self._brackets)

    @property
    def eta(self) -> float:
        """Of so many trials that reach a rung, one goes on."""
        return self._reduction_factor

    def put_into(self, trial_id: str, bracket: int) -> None:
        """The trial is judged by the rungs of this bracket."""
        self._trial_info[trial_id] = self._brackets[bracket]
