"""Trials that go on on another node of a cluster, and why: what counts as their own failure and what does not.

Tune tries a trial again whose process ended, as often as it is allowed to. Here it is decided before that where the
trial may go and what the end counts for: a node that is lost or leaves never counts; a failure before the first report
is tried once on another node; a process that dies by itself may do so once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

import ray

from seisweep.engine.nodes import Nodes
from seisweep.private.ray import actor_of
from seisweep.private.ray_placing import Elsewhere, node_of_actor, node_of_trial
from seisweep.workers.faults import DIED_TWICE, Fault, actor_in, death_line, is_node_lost

RETRIES = 1
"""Times that a trial whose process died goes on from its last checkpoint, before it fails."""

NOT_THERE = ("ModuleNotFoundError", "ImportError")
"""What Ray says where the process of a trial could not even begin."""


class Death(NamedTuple):
    """Of a process that ended by itself, as far as is known."""

    node: str
    how: str


class Moves:
    """Of the trials of a session. Trials are Tune's, by its id; nodes by Ray's."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._where: dict[str, str] = {}
        self._trials: dict[str, Any] = {}
        self._reported: set[str] = set()  # since they began last
        self._avoided: dict[str, set[str]] = defaultdict(set)
        self._why: dict[str, str] = {}  # the end of a process that is no death, before Tune tells of it
        self._fled: dict[str, tuple[str, str]] = {}  # node and reason of a failure before the first report
        self._deaths: dict[str, list[Death]] = defaultdict(list)

    def began(self, trial: Any) -> None:
        """The trial's process is there."""
        self._trials[trial.trial_id] = trial
        self._reported.discard(trial.trial_id)
        self._where[trial.trial_id] = node_of_trial(trial)
        self.leave(self.nodes.leaving)

    def reported(self, trial_id: str) -> None:
        """It trains: where it failed before, that was the node's doing."""
        self._reported.add(trial_id)
        if trial_id in self._fled:
            self.nodes.blame(*self._fled.pop(trial_id))

    def over(self, trial_id: str) -> None:
        for known in (self._where, self._trials, self._why, self._fled):
            known.pop(trial_id, None)

    def leave(self, nodes: Collection[str]) -> None:
        """These nodes are about to leave: trials on them end and go on elsewhere from their last checkpoints."""
        for trial_id, trial in self._trials.items():
            node_id = self._where.get(trial_id, "")
            if node_id in nodes and trial.status == "RUNNING" and trial_id not in self._why:
                self._why[trial_id] = f"node {self.nodes.name(node_id)} is about to leave"
                trial.max_failures += 1
                ray.kill(actor_of(trial))

    def pardon(self, nodes: Collection[str]) -> None:
        """These nodes are gone: what died on them just before died of that."""
        for trial_id, deaths in self._deaths.items():
            self._deaths[trial_id] = [death for death in deaths if death.node not in nodes]

    def takes(self, trial: Any, fault: Fault) -> bool:
        """Whether a trial with this fault is tried once more, on another node. Its process ends next."""
        trial_id, node_id = trial.trial_id, fault.node or self._where.get(trial.trial_id, "")
        early = trial_id not in self._reported
        if trial_id in self._fled or not (early or fault.kind in ("node", "storage")):
            return False
        if not self.nodes.others(self._avoided[trial_id] | {node_id}):
            return False
        when = " before its first report" if early else ""
        self._avoided[trial_id].add(node_id)
        self._why[trial_id] = f"failed on {self.nodes.name(node_id)}{when} ({fault.reason})"
        self._fled[trial_id] = node_id, fault.reason
        trial.max_failures += 1
        return True

    def before_it_is_tried_again(self, trial: Any) -> None:
        """Tune is about to put the trial into its queue again: the last moment to say where it may not go."""
        if self._avoided[trial.trial_id]:
            trial.config["avoid"] = sorted(self._avoided[trial.trial_id])
            trial.update_resources(Elsewhere(trial.placement_group_factory, trial.config["avoid"]))

    def of_end(self, trial: Any, text: str) -> None:
        """A process ended without a word of its own, and Ray said this: was it the node, or the trial itself?"""
        trial_id = trial.trial_id
        if trial_id in self._why:
            return
        node_id = node_of_actor(actor_in(text)) or self._where.get(trial_id, "")
        name = self.nodes.name(node_id)
        if is_node_lost(text) or self.nodes.is_lost(node_id):
            self._why[trial_id] = f"node {name} is gone"
            trial.max_failures += 1
            return
        reason = death_line(text)
        self._deaths[trial_id].append(Death(node_id, f"on {name}, {reason}" if reason else f"on {name}"))
        if len(self._deaths[trial_id]) <= RETRIES:
            trial.max_failures += 1  # so that the loss of a node, if it comes next, does not end the trial
        if trial_id not in self._reported and self.nodes.others({node_id}):
            self._avoided[trial_id].add(node_id)

    def why(self, trial_id: str) -> str:
        """Why a trial is tried again, told once: empty where its process died by itself."""
        return self._why.pop(trial_id, "")

    def died_too_often(self, trial_id: str) -> str:
        """Failure reason of a trial whose process died by itself more often than it may; empty otherwise."""
        deaths = self._deaths[trial_id]
        return f"{DIED_TWICE}: {'; '.join(death.how for death in deaths)}" if len(deaths) > RETRIES else ""

    def last_death(self, trial_id: str) -> str:
        return self._deaths[trial_id][-1].how

    def is_of_the_node(self, trial_id: str) -> bool:
        """Whether a process never began, twice, for want of something that machines have."""
        deaths = self._deaths[trial_id]
        return bool(deaths) and all(any(name in death.how for name in NOT_THERE) for death in deaths)
