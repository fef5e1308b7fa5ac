"""On which node of a cluster a trial is, and may be: what of it is not public in Ray. Beside `ray.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.state import state as cluster_state
from ray.air.execution import PlacementGroupResourceManager
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.tune import PlacementGroupFactory
from ray.tune.execution import tune_controller
from ray.tune.schedulers import TrialScheduler
from ray.util.placement_group import placement_group

from seisweep.private.ray import actor_of

USES = {
    "ray._private.state.GlobalState.get_draining_nodes": "trials move off nodes that have announced to leave",
    "ray._private.state.GlobalState.actor_table": "the node that a trial runs on, or ran on, is known",
    "ray.actor.ActorHandle._actor_id": "the same",
    "ray.tune.execution.tune_controller.TuneController._maybe_reuse_cached_actor": "a node that has joined comes to "
    "train where trials are short",
    "ray.tune.execution.tune_controller.PlacementGroupResourceManager": "trials are placed on checked nodes alone",
    "ray.train.v2._internal.execution.callback.ControllerCallback.on_controller_start_worker_group": "so are Ray "
    "Train's workers",
}
"""Dotted name, and what would not work without it."""


def nodes_leaving() -> set[str]:
    """Ids of nodes that are drained: they have announced to leave, as machines that can be taken away do."""
    return set(cluster_state.get_draining_nodes())


def node_of_trial(trial: Any) -> str:
    """Id of the node that a Tune trial under way runs on; empty where it has no process."""
    actor = actor_of(trial)
    return node_of_actor(actor._actor_id.hex()) if actor is not None else ""


def node_of_actor(actor_id: str) -> str:
    """Id of the node that an actor runs on, or ran on; empty where Ray has placed it nowhere."""
    known = cluster_state.actor_table(actor_id) if actor_id else {}
    node_id = known["Address"]["NodeID"] if known else ""
    return node_id if node_id.strip("f") else ""


def on_nodes(ids: Collection[str]) -> dict[str, str]:
    """Label selector for these nodes and no others. None of them: nothing is placed until there are."""
    return {"ray.io/node-id": f"in({','.join(sorted(ids))})" if ids else "none"}


class Elsewhere(PlacementGroupFactory):
    """What a trial asks for that shall not be placed on certain nodes, while there are others."""

    def __init__(self, wanted: PlacementGroupFactory, avoided: Collection[str]) -> None:
        super().__init__(wanted.bundles, strategy=wanted.strategy)
        self.avoided = frozenset(avoided)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self.avoided == getattr(other, "avoided", frozenset())

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.avoided))


class Placing(PlacementGroupResourceManager):
    """Tune's manager of placement groups, which places them on nodes that may be used, as of that moment."""

    def __init__(self, usable: Callable[[], Collection[str]] | None = None, update_interval_s: float = 0.1) -> None:
        if usable is not None:  # Ray empties a manager by making it once more
            self._usable = usable
        super().__init__(update_interval_s)

    def request_resources(self, resource_request: PlacementGroupFactory) -> None:
        usable, bundles = set(self._usable()), resource_request.bundles
        allowed = on_nodes(usable - getattr(resource_request, "avoided", frozenset()) or usable)
        group = placement_group(bundles, resource_request.strategy, bundle_label_selector=[allowed] * len(bundles))
        self._pg_to_request[group] = resource_request
        self._request_to_staged_pgs[resource_request].add(group)
        future = group.ready()
        self._staging_future_to_pg[future] = group
        self._pg_to_staging_future[group] = future

    def place_again(self) -> None:
        """What still waits for a place is asked for anew: other nodes may be used now."""
        for request, groups in list(self._request_to_staged_pgs.items()):
            for _ in range(len(groups)):
                self.cancel_resource_request(request)
                self.request_resources(request)


@contextmanager
def placed_by(manager: Placing) -> Iterator[None]:
    """A Tune run that begins while this is open places its trials by this manager, and lets a process begin that has
    its place: Tune would rather give its trial to one that has just become free, and end it, so that where trials are
    short a new node never came to train."""
    before, controller = tune_controller.PlacementGroupResourceManager, tune_controller.TuneController
    reuse = controller._maybe_reuse_cached_actor

    def reuse_unless_one_begins(self: Any, trial: Any) -> bool:
        own = None if trial in self._resetting_trials else self._trial_to_actor.get(trial)
        return not (own and self._actor_manager.is_actor_started(own)) and reuse(self, trial)

    tune_controller.PlacementGroupResourceManager = lambda: manager
    controller._maybe_reuse_cached_actor = reuse_unless_one_begins
    try:
        yield
    finally:
        tune_controller.PlacementGroupResourceManager = before
        controller._maybe_reuse_cached_actor = reuse


def told_of_failures(scheduler: TrialScheduler, tell: Callable[[Any], None]) -> TrialScheduler:
    """The scheduler, which passes on each Tune trial whose process failed before Tune puts it into its queue again:
    the last moment at which it may ask for another place."""
    scheduler.on_trial_error = _Telling(scheduler.on_trial_error, tell)
    return scheduler


class _Telling:
    def __init__(self, then: Callable[[Any, Any], None], tell: Callable[[Any], None]) -> None:
        self._then, self._tell = then, tell

    def __call__(self, controller: Any, trial: Any) -> None:
        self._tell(trial)
        self._then(controller, trial)

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()  # what Ray pickles into its own, unused snapshot


class WorkersOnNodes(ControllerCallback):
    """In a Train controller: its workers are placed on nodes that may be used, as of the moment they begin."""

    def __init__(self, usable: Callable[[], Collection[str]]) -> None:
        self.usable = usable

    def on_controller_start_worker_group(self, **_: Any) -> dict[str, str]:
        return on_nodes(self.usable())
