"""Whether a Ray cluster answers, and lets this machine in: as one of its nodes, with its token."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import grpc

from seisweep.private.ray import (
    IS_ALIVE,
    NODES,
    ask_for_nodes,
    host_and_port,
    nodes_in,
    nodes_of_this_machine,
    token_has_changed,
)
from seisweep.settings import ray_token
from seisweep.settings.deadline import within
from seisweep.settings.profile import Profile
from seisweep.settings.ray_token import Token, find_token, warn_of_open_cluster
from seisweep.workers.faults import one_line

CONNECT_TIMEOUT_S = 10
"""A cluster that has not answered by then is not there."""

JOB_SERVER_PORT = 8265
"""Ray's default."""


class NotLetInError(ValueError):
    """A cluster answers, and takes no driver from this machine."""


def check_answer(address: str, profile: Profile | None = None) -> None:
    """A Ray cluster answers there, this machine is one of its nodes, and from now on Ray in this process has the token
    that it wants. Ray itself would wait for minutes. Raises ValueError in one line."""
    _check_kind(address)
    _in_time(address, lambda: _ask(address, profile or Profile()))


def check_token(address: str) -> None:
    """A Ray cluster answers there and takes the token that this machine has: it may become a node of it. Ray itself
    says of a wrong token that nothing answers. Raises ValueError in one line."""

    def ask() -> None:
        host, port = _connected_to(address)
        if not os.environ.get("RAY_USE_TLS"):  # certificates
            with _channel(host, port) as channel:
                _that_lets_in(channel, address, host, Profile())

    _in_time(address, ask)


def _in_time(address: str, ask: Callable[[], None]) -> None:
    """Raises ValueError in one line for whatever keeps a cluster from answering."""
    try:
        within(CONNECT_TIMEOUT_S, ask)  # a silent name server holds it up
    except NotLetInError:
        raise
    except grpc.RpcError as error:  # between two answers
        raise no_answer(address, ConnectionError(error.details())) from None
    except (OSError, ValueError) as error:
        raise no_answer(address, error) from None


def no_answer(address: str, error: Exception) -> ValueError:
    return ValueError(f"no Ray cluster answers at {address}: {one_line(error)}")


def _check_kind(address: str) -> None:
    """It is the address of a cluster as its nodes know it. Raises ValueError that names `submit_to`."""
    if address.startswith("ray://"):
        host = address.removeprefix("ray://").partition(":")[0]
        raise ValueError(
            f"ray_address = {address}: sweeps do not run through Ray's client; on a node of the cluster give "
            f'"auto", from any other machine {_submit_to(host)}'
        )
    named = os.environ.get("RAY_ADDRESS", "")
    if address == "auto" and named.startswith(("http://", "https://")):
        raise ValueError(f'RAY_ADDRESS = {named} is a job server: give submit_to = "{named}" in the profile')


def _ask(address: str, profile: Profile) -> None:
    """Raises OSError or ValueError where nothing listens, or something that knows no Ray or lets nobody in."""
    host, port = _connected_to(address)
    here = nodes_of_this_machine()
    if os.environ.get("RAY_USE_TLS"):  # certificates
        if not here:
            raise _no_node(address, host, [])
        return
    with _channel(host, port) as channel:
        token = _that_lets_in(channel, address, host, profile)
        nodes = nodes_in(_call(channel, NODES, ask_for_nodes(), token))
    if not here & set(nodes):
        raise _no_node(address, host, sorted(nodes.values()))
    if token is not None:
        ray_token.use(token, profile)
        token_has_changed()


def _connected_to(address: str) -> tuple[str, int]:
    """Host and port at which something listens. Raises OSError or ValueError where nothing does."""
    host, port = host_and_port(address)
    socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    return host, port


def _channel(host: str, port: int) -> grpc.Channel:
    return grpc.insecure_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _that_lets_in(channel: grpc.Channel, address: str, host: str, profile: Profile) -> Token | None:
    """The token that this machine has and the cluster takes; None where it wants none. Raises OSError where no Ray
    listens, NotLetInError where the token is missing or wrong."""
    try:
        _call(channel, IS_ALIVE)
        warn_of_open_cluster(address, host)
        return None
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise ConnectionError("what listens there is no Ray") from None
    token = find_token(profile)
    try:
        if token is not None:
            _call(channel, IS_ALIVE, token=token)
            return token
    except grpc.RpcError:
        pass
    raise NotLetInError(str(ray_token.refused(address, token)))


def _call(channel: grpc.Channel, method: str, request: bytes = b"", token: Token | None = None) -> bytes:
    metadata = tuple(token.headers.items()) if token else None
    answer: bytes = channel.unary_unary(method)(request, timeout=CONNECT_TIMEOUT_S, metadata=metadata)
    return answer


def _no_node(address: str, host: str, nodes: list[str]) -> NotLetInError:
    known = f" ({', '.join(nodes[:5])}{' ...' if nodes[5:] else ''})" if nodes else ""
    return NotLetInError(
        f"this machine is not a node of the Ray cluster at {address}{known}: run on one of its nodes, or from here as "
        f"a job of it, with {_submit_to(host)}"
    )


def _submit_to(host: str) -> str:
    return f'submit_to = "http://{host}:{JOB_SERVER_PORT}" in the profile'
