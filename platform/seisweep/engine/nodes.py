"""Which nodes of a cluster trials may run on, from moment to moment: those that were checked and found good.

Nodes join (they are checked, then trials come), announce that they leave (their trials move), and are lost. Everything
here happens between two events of Tune, in the driver's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from seisweep.engine.cluster import Resources, does_not_fit, workers_on
from seisweep.engine.preflight import Node, NodeCheck, Question, Verdict, Wait, nodes_alive
from seisweep.private.ray_placing import nodes_leaving
from seisweep.workers.whereabouts import is_lost

LOOK_EVERY_S = 2.0

OTHERS_WAIT_S = 60.0
"""So long a sweep waits at its start for nodes that are slow to answer, once others have; they join later."""

BLAMED_MOST = 2
"""A node on which so many trials failed that then ran elsewhere is left out."""

NO_NODE_PATIENCE_S = 1800.0
"""A sweep without any node to run on ends, resumable, after so long."""


class Nodes:
    """The nodes of this session. `say` gets a line for whatever becomes of one."""

    def __init__(self, question: Question, wanted: Resources, at_most: int | None, say: Callable[[str], None]) -> None:
        self.question, self.wanted, self.at_most, self.say = question, wanted, at_most, say
        self.usable: dict[str, Node] = {}
        """By Ray's id, as everywhere here."""
        self.left_out: dict[str, str] = {}
        """Why no trial runs on a node."""
        self.changed: list[Callable[[], None]] = []
        """Called when other nodes are usable than before."""
        self.leave: list[Callable[[Collection[str]], None]] = []
        """Called with nodes that have announced to leave, once each."""
        self.lost: list[Callable[[Collection[str]], None]] = []
        """Called with nodes that are gone, once each."""
        self._known: dict[str, Node] = {}
        self._alive: set[str] = set()
        self._has_begun = False
        self._leaving: set[str] = set()
        self._checks: dict[str, NodeCheck] = {}
        self._blame: dict[str, list[str]] = {}
        self._looked_s = self._had_one_s = time.monotonic()

    def first_look(self) -> None:
        """Check every node that has room for a worker. Those that cannot run a trial are named and left out. Raises
        ValueError where none can."""
        wait = Wait(self.say)
        alive = nodes_alive()
        self._alive = {node.id for node in alive}
        self._begin_checks(alive)
        while self._checks and not (self.slots() and wait.elapsed_s > OTHERS_WAIT_S):
            self._end_checks()
            wait.go_on(check.node for check in self._checks.values())
        for check in self._checks.values():
            self.say(f"node {check.node} has not answered yet: trials run there once it has answered and can run them")
        if not self.slots():
            self.close()
            raise self._no_place([node.resources for node in alive if node.id not in self.left_out])
        self._has_begun = True

    def _no_place(self, others: list[Mapping[str, float]]) -> ValueError:
        """Why nothing begins; `others` is what nodes have that were not left out."""
        if self.left_out and not self.usable:
            return ValueError(f"no node can run a trial: {_grouped(self.left_out_by_name)}")
        return does_not_fit(self.wanted, {key: sum(r.get(key, 0) for r in others) for key in ("CPU", "GPU", "memory")})

    def close(self) -> None:
        """Nothing of the checks stays anywhere."""
        if self._checks:
            self._checks.clear()
            self._remove_probe()

    def slots(self) -> int:
        """How many trials fit on the nodes that may be used now."""
        fitting = sum(workers_on(node.resources, self.wanted) for node in self.usable.values())
        trials = fitting // self.wanted.workers
        return min(trials, self.at_most or trials)

    def look(self) -> None:
        """What has changed since the last look. Called often; looks now and then."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        before = set(self.usable)
        alive = {node.id: node for node in nodes_alive()}
        self._alive = set(alive)
        self._begin_checks([node for node in alive.values() if node.id not in self._known])
        self._end_checks()
        leaving = (nodes_leaving() & set(self.usable)) - self._leaving
        for left in [node_id for node_id in self.usable if node_id not in alive or node_id in leaving]:
            node = self.usable.pop(left)
            about = "is about to leave: its trials go on elsewhere" if left in leaving else "is gone"
            self.say(f"node {node} {about}")
        self._leaving |= leaving
        if set(self.usable) != before:
            self._tell()
        if leaving:
            for tell in self.leave:
                tell(leaving)
        if gone := before - set(alive):
            for tell in self.lost:
                tell(gone)
        if self.usable:
            self._had_one_s = now_s

    @property
    def obstacle(self) -> str:
        """Why the sweep cannot go on; empty while there is hope."""
        if time.monotonic() - self._had_one_s < NO_NODE_PATIENCE_S:
            return ""
        return f"no node has been able to run a trial for {NO_NODE_PATIENCE_S / 60:g} min: start one that can"

    def is_lost(self, node_id: str) -> bool:
        """Whether this node is gone or about to leave: what ends there now ends for that."""
        return node_id in self._leaving or is_lost(node_id)

    @property
    def leaving(self) -> set[str]:
        """Nodes that have announced to leave."""
        return self._leaving

    def name(self, node_id: str) -> str:
        """As people know it."""
        return str(self._known.get(node_id, "a node that is gone"))

    @property
    def left_out_by_name(self) -> list[tuple[str, str]]:
        """Nodes as people know them, and why no trial runs there."""
        return [(self.name(node_id), reason) for node_id, reason in self.left_out.items()]

    def others(self, avoided: Collection[str]) -> set[str]:
        """Usable nodes but for these."""
        return set(self.usable) - set(avoided)

    def blame(self, node_id: str, reason: str) -> None:
        """A trial failed there before its first report and ran elsewhere: it was the node. Too many such, and it is
        left out."""
        reasons = self._blame.setdefault(node_id, [])
        reasons.append(reason)
        if len(reasons) >= BLAMED_MOST and node_id in self.usable and len(self.usable) > 1:
            self._leave_out(self.usable.pop(node_id), f"{len(reasons)} trials failed there and not elsewhere: {reason}")
            self._tell()

    def _begin_checks(self, nodes: list[Node]) -> None:
        self._known |= {node.id: node for node in nodes}
        # The function of a Ray Train trial may be anywhere.
        wanted = [node for node in nodes if self.wanted.ray_train or workers_on(node.resources, self.wanted)]
        if wanted and not self._checks:
            self.question.write_probe()
        self._checks |= {node.id: NodeCheck(node, self.question) for node in wanted}

    def _end_checks(self) -> None:
        """Take the answers that are there."""
        found = [verdict for check in self._checks.values() if (verdict := check.verdict())]
        for verdict in found:
            del self._checks[verdict.node.id]
            self._judged(verdict)
        if found and not self._checks:
            self._remove_probe()

    def _judged(self, verdict: Verdict) -> None:
        node = verdict.node
        if node.id not in self._alive:  # it was lost meanwhile, whatever it said
            return
        if verdict.reason:
            self._leave_out(node, verdict.reason)
            return
        for other in [other for other in self.left_out if other not in self._alive and self.name(other) == str(node)]:
            del self.left_out[other]  # the same machine, started again
        self.usable[node.id] = node
        if self._has_begun:
            self.say(f"node {node} has joined: trials run there too")

    def _leave_out(self, node: Node, reason: str) -> None:
        self.left_out[node.id] = reason
        self.say(f"node {node} is left out: {reason}")

    def _tell(self) -> None:
        for tell in self.changed:
            tell()

    def _remove_probe(self) -> None:
        with suppress(OSError):  # a file of no bytes to speak of, in a storage that is away
            self.question.remove_probe()


def _grouped(left_out: list[tuple[str, str]]) -> str:
    """Nodes by reason, the most frequent first, in one line."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in left_out:
        by_reason.setdefault(reason, []).append(node)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return "; ".join(f"{', '.join(nodes[:5])}{' ...' if len(nodes) > 5 else ''}: {why}" for why, nodes in ordered)
