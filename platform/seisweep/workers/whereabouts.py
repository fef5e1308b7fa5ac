"""Nodes as Ray's table has them: what they are called, and whether they are still there."""

from __future__ import annotations

import socket
from typing import Any

import ray

ANSWER_TIMEOUT_S = 2.0


def name_of(node_id: str) -> str:
    """A node as people know it."""
    return next(
        (f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in _known(node_id)), "an unknown node"
    )


def is_lost(node_id: str) -> bool:
    """Whether a node is gone, or does not answer any more, of which Ray itself may hear a minute later. One that nobody
    knows is not."""
    return any(
        not node["Alive"] or not _answers(node["NodeManagerAddress"], node["NodeManagerPort"])
        for node in _known(node_id)
    )


def _known(node_id: str) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["NodeID"] == node_id]


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), ANSWER_TIMEOUT_S).close()
    except OSError:
        return False
    return True
