"""The link between Ray Train and Ray Tune inside a trial, and the guarantee that a trial gives its CPUs back.

Ray Train neither hands a worker's checkpoint to Tune nor frees its workers when Tune stops the trial: their
placement group belongs to the whole job. One small actor a session, owned by the driver, does both. Reports go
through it in order. When a trial is over, whatever ended it, its placement groups are removed, and the Train
controller that comes back with the next report is told to give up. A controller that was killed has left its group
behind, perhaps before any worker could name it: groups of dead actors are looked for all the time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.train import Checkpoint, UserCallback
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from seisweep.private.ray import WORKER_DEATHS, orphaned_groups
from seisweep.private.ray_placing import node_of_actor
from seisweep.workers.faults import DIED_TWICE, Fault, actor_in, death_line, is_node_lost, is_peer_lost
from seisweep.workers.whereabouts import is_lost, name_of

DIED = (RayActorError, OutOfMemoryError, *WORKER_DEATHS)
"""What Train says of a worker whose process is gone."""


TIDY_EVERY_S = 1.0


class TrialOverError(RuntimeError):
    """Raised in a Train controller whose trial is over, so that it ends instead of trying again."""


class Relay:
    """Letters by trial attempt, one waiting at a time; and the placement groups of each attempt."""

    def __init__(self) -> None:
        self._letters: dict[str, asyncio.Queue[Any]] = defaultdict(lambda: asyncio.Queue(maxsize=1))
        self._groups: dict[str, list[PlacementGroup]] = defaultdict(list)
        self._closed: set[str] = set()
        self._reasons: dict[str, Fault] = {}
        self._nodes: dict[str, set[str]] = defaultdict(set)  # where the workers of an attempt are
        self._usable: list[str] = []
        self._moved: set[str] = set()

    async def put(self, attempt: str, letter: tuple[str, Any]) -> bool:
        """Wait for room, then leave a letter. False where the attempt is over."""
        while attempt not in self._closed:
            try:
                await asyncio.wait_for(self._letters[attempt].put(letter), timeout=0.5)
                return True
            except TimeoutError:
                continue
        return False

    async def take(self, attempt: str) -> tuple[str, Any]:
        """Wait for the next letter."""
        return await self._letters[attempt].get()

    async def register(self, attempt: str, group: PlacementGroup, node: str) -> bool:
        """A worker of an attempt lives on this node, all of them in this placement group. False where the attempt is
        over."""
        if group not in self._groups[attempt]:
            self._groups[attempt].append(group)
            self._nodes[attempt].clear()
        self._nodes[attempt].add(node)
        if attempt in self._closed:
            self._release(attempt)
        return attempt not in self._closed

    async def blame(self, attempt: str, reason: Fault) -> None:
        """A worker raised. The first one counts: others raise because they miss it."""
        self._reasons.setdefault(attempt, reason)

    async def reason(self, attempt: str) -> Fault | None:
        """Why the first worker raised; asked for once."""
        return self._reasons.pop(attempt, None)

    async def use(self, nodes: list[str]) -> None:
        """Workers that begin from now on do so on these nodes of a cluster."""
        self._usable = nodes

    async def usable(self) -> list[str]:
        return self._usable

    async def vacate(self, nodes: Collection[str]) -> None:
        """Workers on these nodes end, and Train begins with others from the last checkpoint."""
        for attempt in [attempt for attempt, theirs in self._nodes.items() if theirs & set(nodes)]:
            self._moved.add(attempt)
            for group in self._groups.pop(attempt, []):
                remove_placement_group(group)

    async def was_moved(self, attempt: str) -> bool:
        """Whether the workers of an attempt ended because they were asked to; said once each time."""
        moved = attempt in self._moved
        self._moved.discard(attempt)
        return moved

    async def is_open(self, attempt: str) -> bool:
        return attempt not in self._closed

    async def close(self, trial_id: str) -> None:
        """Every attempt of this trial so far is over; its workers are removed."""
        for attempt in [known for known in {*self._letters, *self._groups} if known.startswith(trial_id)]:
            self._closed.add(attempt)
            self._release(attempt)

    async def tidy(self) -> None:
        """For ever: remove the placement groups whose creator is dead."""
        while True:
            for group in orphaned_groups():
                remove_placement_group(group)
            await asyncio.sleep(TIDY_EVERY_S)

    def _release(self, attempt: str) -> None:
        for group in self._groups.pop(attempt, []):
            remove_placement_group(group)
        self._letters.pop(attempt, None)
        self._reasons.pop(attempt, None)
        self._nodes.pop(attempt, None)
        self._moved.discard(attempt)


def open_relay(name: str) -> Any:
    """The session's relay, an actor that takes no CPU and lives as long as the driver, on the driver's machine."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    relay = ray.remote(num_cpus=0)(Relay).options(name=name, scheduling_strategy=here).remote()
    relay.tidy.remote()
    return relay


def usable_nodes(relay: str, avoided: Collection[str]) -> list[str]:
    """Nodes for the workers of a trial. What it avoids counts while there are others."""
    usable: list[str] = ray.get(ray.get_actor(relay).usable.remote())
    return [node for node in usable if node not in avoided] or usable


class Forward(UserCallback):
    """In the Train controller: every report of rank 0, with its checkpoint, goes into the relay; so does the
    reason where workers raised. Where one of them died, the others raised for that, and Train tries again."""

    def __init__(self, relay: str, attempt: str) -> None:
        self.relay, self.attempt = relay, attempt
        self.deaths: list[str] = []  # why, of each time that a process of its own died

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        letter = ("report", (metrics[0], checkpoint))
        if not ray.get(ray.get_actor(self.relay).put.remote(self.attempt, letter)):
            raise TrialOverError("the trial is over")

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        relay = ray.get_actor(self.relay)
        if not ray.get(relay.is_open.remote(self.attempt)):
            raise TrialOverError("the trial is over")
        if ray.get(relay.was_moved.remote(self.attempt)):
            return
        blamed = ray.get(relay.reason.remote(self.attempt))
        if fault := self._fault(blamed, list(worker_exceptions.values())):
            ray.get(relay.put.remote(self.attempt, ("failed", fault)))
            raise TrialOverError(fault.reason)

    def _fault(self, blamed: Fault | None, errors: list[Exception]) -> Fault | None:
        """What ends the trial; None where Train is to try again."""
        deaths = [str(error) for error in errors if isinstance(error, DIED)]
        if not deaths and not blamed:  # it raised before it came to our own code
            return next((Fault.of(error) for error in errors), None)
        if blamed and (blamed.kind not in ("error", "node") or not (deaths or is_peer_lost(blamed.reason))):
            return blamed
        if not deaths:  # of which Ray has not heard yet
            return self._died(f"one of its workers lost another: {blamed.reason}" if blamed else "")
        if out_of_memory := next(filter(None, map(Fault.of_death, deaths)), None):
            return out_of_memory
        if is_node_lost(deaths[0]) or is_lost(node := node_of_actor(actor_in(deaths[0]))):
            return None  # which is no fault of the trial, however often
        return self._died(f"on {name_of(node)}, {death_line(deaths[0])}")

    def _died(self, how: str) -> Fault | None:
        self.deaths.append(how)
        return Fault("error", f"{DIED_TWICE}: {'; '.join(self.deaths)}") if len(self.deaths) > 1 else None
