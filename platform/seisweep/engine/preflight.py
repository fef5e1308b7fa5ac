"""Asks every node of a cluster whether a trial can run there, and says of each that cannot what would be right."""

from __future__ import annotations

import platform
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from seisweep.engine.plan import Plan
from seisweep.record import tags
from seisweep.requested.trainable import CACHE_KEY
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.storage import Storage, storage_of
from seisweep.text import some
from seisweep.workers import node_check
from seisweep.workers.faults import one_line

DEADLINE_S = 600.0
"""A node that has not answered by then is left out. It may have to fetch its data first."""

WORD_AFTER_S = 5.0
"""Where the nodes take longer to answer, a line says which are waited for."""

NAMED_MOST = 5

CLOCK_PATIENCE_S = 10.0
"""For the answer of a node that has just given one."""

MOST_CLOCK_ERROR_S = 5.0
"""By more than that the clock of a node must not differ from the driver's."""

COMPARED = (tags.DATA_FINGERPRINT, "streams_fingerprint", "teacher_digest")
"""Facts of the preflight that must be the same everywhere."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster, as Ray's table has it."""

    id: str
    host: str
    address: str
    resources: Mapping[str, float] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.host} ({self.address})" if self.host != self.address else self.address


def nodes_alive() -> list[Node]:
    return [
        Node(node["NodeID"], node["NodeManagerHostname"], node["NodeManagerAddress"], node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


@dataclass(frozen=True)
class Verdict:
    """What was found on a node."""

    node: Node
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What it said of itself (`node_check.versions_here`); empty where it said nothing."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why no trial can run there and what would be right, by what was looked at; empty where one can."""
    clock_s: float | None = None
    """By how much its clock is ahead of the driver's."""

    @property
    def reason(self) -> str:
        """The first problem, in one line; empty where a trial can run there."""
        return next(iter(self.problems.values()), "")


@dataclass(frozen=True)
class Question:
    """What is asked of each node, and what the answers are held against."""

    sweep: Mapping[str, Any] | None
    """As plain data; None where no sweep is meant."""
    facts: Mapping[str, str]
    """What the driver's own preflight says of data and models."""
    storage: Storage
    """Where checkpoints go, or the first folder above it that is there."""
    cache: str
    """Folder of the window stores; empty where there is none."""
    needs_gpu: bool
    probe: str
    """Name and content of the driver's file in the storage."""
    fetching: tuple[str, str] | None = None
    """Folder that data of an address are fetched into, and the S3 server that they come from, as trials have them."""

    @classmethod
    def of_sweep(cls, plan: Plan) -> Question:
        launch, settings = plan.launch, plan.defaults
        cache = str(settings.get(CACHE_KEY) or plan.home.cache_dir) if plan.trainable.has(CACHE_KEY) else ""
        return cls(
            sweep=launch.sweep_here.model_dump(mode="json"),
            facts={key: launch.tags[key] for key in COMPARED if key in launch.tags},
            storage=_place(plan.storage),
            cache=cache if plan.trainable.config_class else "",
            needs_gpu=plan.resources.gpus > 0,
            probe=f".seisweep-check-{uuid.uuid4().hex}",
            fetching=(str(plan.home.fetched_dir), plan.storage.endpoint),
        )

    @classmethod
    def of_profile(cls, profile: Profile, home: Home) -> Question:
        """Where only the place is asked for, and no sweep: its checkpoints would go into the home if the profile names
        no storage."""
        named = storage_of(profile)
        storage = _place(named if named.place else replace(named, place=str(home.sweeps_dir)))
        return cls(None, {}, storage, "", profile.gpus_per_worker > 0, f".seisweep-check-{uuid.uuid4().hex}")

    @property
    def asked(self) -> dict[str, Any]:
        fields = {"sweep": self.sweep, "fetching": self.fetching, "probe": self.probe, "cache": self.cache}
        return fields | {"storage": asdict(self.storage)}

    def write_probe(self) -> None:
        """The file that every node shall read. Raises ValueError where the driver itself cannot write it."""
        try:
            filesystem, folder = self.storage.at(self.storage.place, quick=True)
            with filesystem.open_output_stream(f"{folder}/{self.probe}") as file:
                file.write(self.probe.encode())
        except (OSError, ValueError) as error:
            raise ValueError(f"storage {self.storage.place} cannot be written: {one_line(error)}") from None

    def remove_probe(self) -> None:
        """Raises OSError where the storage does not answer."""
        filesystem, folder = self.storage.at(self.storage.place, quick=True)
        filesystem.delete_file(f"{folder}/{self.probe}")


class NodeCheck:
    """The question to one node, under way."""

    def __init__(self, node: Node, question: Question) -> None:
        self.node, self.question = node, question
        self._begun_s = time.monotonic()
        self._task = _by_value(node_check.on_this_node, node.id).remote(question.asked)

    def verdict(self) -> Verdict | None:
        """None while the node has time to answer. Waits for nothing but its clock."""
        ready, _ = ray.wait([self._task], timeout=0)
        if not ready and time.monotonic() - self._begun_s < DEADLINE_S:
            return None
        if not ready:
            ray.cancel(self._task, force=True)
            return self._without_answer(f"it has not answered within {DEADLINE_S:g} s")
        try:
            answer = ray.get(self._task)
        except RuntimeEnvSetupError as error:
            return self._without_answer(f"what the profile brings there cannot be set up: {one_line(error)}")
        except RayTaskError as error:  # nothing raises there, so not even that much could be read
            here = platform.python_version()
            return self._without_answer(f"it cannot run code of Python {here}: {_last_line(error)}")
        except TaskUnschedulableError:
            return self._without_answer("it is gone")
        except RayError as error:
            return self._without_answer(f"the check was killed there: {_last_line(error)}")
        if "facts" not in answer:
            return Verdict(self.node, answer, answer["problems"])
        return judge(self.question, self.node, answer, *clock_error_s(self.node))

    def _without_answer(self, why: str) -> Verdict:
        return Verdict(self.node, {}, {"answer": why})


def judge(
    question: Question, node: Node, answer: Mapping[str, Any], clock_s: float | None, uncertain_s: float
) -> Verdict:
    """What the node said, against what the driver has. Python and seisweep come first: they explain the rest."""
    here = _versions_here()
    problems = {
        package: f"it has {package} {answer[package]}, the driver {here[package]}: both need the same"
        for package in ("python", "seisweep", "ray", "torch")
        if _without_build(answer[package]) != _without_build(here[package])
    }
    if question.needs_gpu and node.resources.get("GPU", 0) > answer["gpus"]:
        counted = f"{node.resources['GPU']:g} GPU"
        problems["gpus"] = f"Ray counts {counted} there and torch sees {answer['gpus']}: driver, or a torch for CUDA"
    problems |= answer["problems"]
    for key, fact in question.facts.items():
        if "data" not in problems and (there := answer["facts"].get(key)) != fact:
            problems["data"] = f"its data differ: {key} {there}, on the driver {fact}"
    if clock_s is not None and abs(clock_s) - uncertain_s > MOST_CLOCK_ERROR_S:
        ahead = "ahead of" if clock_s > 0 else "behind"
        problems["clock"] = f"its clock is {abs(clock_s):.0f} s {ahead} the driver's: set both clocks by NTP"
    return Verdict(node, answer, problems, clock_s)


def clock_error_s(node: Node) -> tuple[float | None, float]:
    """By how much the node's clock is ahead, and half the round trip, within which that is not known. None: no
    answer."""
    sent_s = time.time()
    try:
        there_s = ray.get(_by_value(node_check.clock_of_this_node, node.id).remote(), timeout=CLOCK_PATIENCE_S)
    except RayError:
        return None, 0.0
    got_s = time.time()
    return there_s - (sent_s + got_s) / 2, (got_s - sent_s) / 2


def check_all(question: Question, nodes: Iterable[Node], say: Callable[[str], None]) -> list[Verdict]:
    """All of them at once, each to its end, in their order. Raises ValueError where the driver cannot write."""
    question.write_probe()
    try:
        checks = {node.id: NodeCheck(node, question) for node in nodes}
        verdicts: dict[str, Verdict] = {}
        wait = Wait(say)
        while len(verdicts) < len(checks):
            for check in checks.values():
                if check.node.id not in verdicts and (verdict := check.verdict()):
                    verdicts[check.node.id] = verdict
            wait.go_on(check.node for check in checks.values() if check.node.id not in verdicts)
    finally:
        question.remove_probe()
    return [verdicts[node_id] for node_id in checks]


class Wait:
    """For the answers of nodes; a long one is said, once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say
        self._begun_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._begun_s

    def go_on(self, silent: Iterable[Node]) -> None:
        """A moment longer, for these."""
        if self._say and self.elapsed_s > WORD_AFTER_S and (names := [str(node) for node in silent]):
            self._say(f"waiting for the answer of {some(names, NAMED_MOST)}; a busy node may need minutes")
            self._say = None
        time.sleep(0.05)


def _by_value(function: Any, node_id: str) -> Any:
    """A task on this node and no other, whose code travels with it. It takes nothing from the trials."""
    ray.cloudpickle.register_pickle_by_value(node_check)
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=here)


@cache
def _versions_here() -> dict[str, Any]:
    return node_check.versions_here()


def _place(storage: Storage) -> Storage:
    """Where storage can be tried: a folder that is there, or the URI itself."""
    return storage if storage.is_remote else replace(storage, place=str(node_check.first_there(Path(storage.place))))


def _without_build(number: str) -> str:
    """Of torch: 2.11.0+cpu computes what 2.11.0+cu130 does."""
    return re.sub(r"\+c(pu|u\d+)$", "", number)


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)[
        :200
    ]
