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
from collections.abc import Iterable
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.train import Checkpoint, UserCallback
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from seisweep.private.ray import WORKER_DEATHS, orphaned_groups
from seisweep.workers.faults import DIED_TWICE, Fault

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

    async def register(self, attempt: str, group: PlacementGroup) -> bool:
        """The workers of an attempt live in this placement group. False where the attempt is over."""
        self._groups[attempt].append(group)
        if attempt in self._closed:
            self._release(attempt)
        return attempt not in self._closed

    async def blame(self, attempt: str, reason: Fault) -> None:
        """A worker raised. The first one counts: others raise because they miss it."""
        self._reasons.setdefault(attempt, reason)

    async def reason(self, attempt: str) -> Fault | None:
        """Why the first worker raised; asked for once."""
        return self._reasons.pop(attempt, None)

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


def open_relay(name: str) -> Any:
    """The session's relay, an actor that takes no CPU and lives as long as the driver, on the driver's machine."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    relay = ray.remote(num_cpus=0)(Relay).options(name=name, scheduling_strategy=here).remote()
    relay.tidy.remote()
    return relay


class Forward(UserCallback):
    """In the Train controller: every report of rank 0, with its checkpoint, goes into the relay; so does the
    reason where workers raised. Where one of them died, the others raised for that, and Train tries again."""

    def __init__(self, relay: str, attempt: str) -> None:
        self.relay, self.attempt, self.deaths = relay, attempt, 0

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        letter = ("report", (metrics[0], checkpoint))
        if not ray.get(ray.get_actor(self.relay).put.remote(self.attempt, letter)):
            raise TrialOverError("the trial is over")

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        relay = ray.get_actor(self.relay)
        if not ray.get(relay.is_open.remote(self.attempt)):
            raise TrialOverError("the trial is over")
        blamed = ray.get(relay.reason.remote(self.attempt))
        if fault := self._fault(blamed, worker_exceptions.values()):
            ray.get(relay.put.remote(self.attempt, ("failed", fault)))
            raise TrialOverError(fault.reason)

    def _fault(self, blamed: Fault | None, errors: Iterable[Exception]) -> Fault | None:
        """What ends the trial; None where Train is to try again."""
        deaths = [str(error) for error in errors if isinstance(error, DIED)]
        if not deaths or (blamed and blamed.kind != "error"):
            return blamed
        self.deaths += 1
        out_of_memory = next(filter(None, map(Fault.of_death, deaths)), None)
        return out_of_memory or (Fault("error", DIED_TWICE) if self.deaths > 1 else None)
