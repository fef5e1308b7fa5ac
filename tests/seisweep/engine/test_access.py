"""Whether a cluster answers and lets this machine in: as one of its nodes, with its token."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import ray
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoReply
from seisweep.engine import access
from seisweep.engine.access import check_answer, check_token
from seisweep.private.ray import IS_ALIVE, NODES
from seisweep.settings.profile import Profile


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(access, "host_and_port", lambda _: ("127.0.0.1", closed_port()))
    with pytest.raises(ValueError, match=r"no Ray cluster answers at head:6379: .*refused"):
        check_answer("head:6379")


def test_an_address_that_is_silent_is_refused_after_a_while(monkeypatch):
    monkeypatch.setattr(access, "CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(access, "host_and_port", lambda _: silent.getsockname())
        with pytest.raises(ValueError, match="no Ray cluster answers at head:6379"):
            check_answer("head:6379")


def test_something_else_than_ray_is_refused(monkeypatch):
    server = grpc.server(ThreadPoolExecutor(1))  # speaks gRPC, and knows nothing
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setattr(access, "host_and_port", lambda _: ("127.0.0.1", port))
    with pytest.raises(ValueError, match=r"no Ray cluster answers at head:6379: .*what listens there is no Ray"):
        check_answer("head:6379")
    server.stop(None)


@pytest.mark.integration
def test_a_ray_answers(local_ray):
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    check_answer(f"{host}:{port}")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def a_gcs(token: str | None, nodes: dict[bytes, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers as the head of a Ray cluster with these nodes, which wants this token; at head:6379."""
    reply = GetAllNodeInfoReply(
        node_info_list=[GcsNodeInfo(node_id=id, node_manager_address=place) for id, place in nodes.items()]
    ).SerializeToString()
    answers = {IS_ALIVE: b"", NODES: reply}

    class Head(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            given = dict(details.invocation_metadata or ()).get("authorization")

            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                if token is not None and given != f"Bearer {token}":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid or missing authentication token")
                return answers[details.method]

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Head()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setattr(access, "host_and_port", lambda _: ("127.0.0.1", port))
    monkeypatch.setattr(access, "token_has_changed", lambda: None)
    yield
    server.stop(None)


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray's own view of its token stays: the Ray that tests share lives in this process, and has one."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def wants_the_right_token(check: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token and with a wrong one the cluster is closed; the wrong one stays in the environment."""
    with pytest.raises(ValueError, match="the Ray cluster at head:6379 asks for a token, and this machine has none"):
        check("head:6379")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    with pytest.raises(ValueError, match="does not take the token in RAY_AUTH_TOKEN: give the cluster's own"):
        check("head:6379")


def test_a_machine_that_is_no_node_is_told_so_at_once(monkeypatch, no_token):
    monkeypatch.setattr(access, "nodes_of_this_machine", lambda: {b"of another".hex()})
    with (
        a_gcs(None, {b"one": "10.0.0.1", b"two": "10.0.0.2"}, monkeypatch),
        pytest.raises(
            ValueError,
            match=r"not a node of the Ray cluster at head:6379 \(10.0.0.1, 10.0.0.2\): .* submit_to = \"http://127.0.0.1:8265",
        ),
    ):
        check_answer("head:6379")


def test_a_node_is_let_in_with_the_token_that_the_cluster_wants(monkeypatch, no_token, tmp_path):
    monkeypatch.setattr(access, "nodes_of_this_machine", lambda: {b"one".hex()})
    with a_gcs("right", {b"one": "10.0.0.1"}, monkeypatch):
        wants_the_right_token(check_answer, monkeypatch)
        (tmp_path / "token").write_text("right\n")
        check_answer("head:6379", Profile(token_file=str(tmp_path / "token")))
    # Ray, which looks at the variable first, has the file's from now on.
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN_PATH"]) == ("token", str(tmp_path / "token"))


def test_a_machine_that_would_become_a_node_is_told_of_its_token(monkeypatch, no_token):
    with a_gcs("right", {b"one": "10.0.0.1"}, monkeypatch):
        wants_the_right_token(check_token, monkeypatch)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
        check_token("head:6379")
    monkeypatch.setattr(access, "host_and_port", lambda _: ("127.0.0.1", closed_port()))
    with pytest.raises(ValueError, match="no Ray cluster answers at head:6379"):
        check_token("head:6379")


def test_a_token_is_not_shown_to_a_cluster_that_wants_none(monkeypatch, no_token):
    monkeypatch.setattr(access, "nodes_of_this_machine", lambda: {b"one".hex()})
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with a_gcs(None, {b"one": "10.0.0.1"}, monkeypatch):
        check_answer("head:6379")
    assert "RAY_AUTH_MODE" not in os.environ


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("ray://head:10001", 'Ray\'s client; on a node .* "auto", from any other .* submit_to = "http://head:8265"'),
        ("auto", 'RAY_ADDRESS = http://head:8265 is a job server: give submit_to = "http://head:8265"'),
    ],
)
def test_an_address_that_no_driver_can_use_is_refused_before_anybody_is_asked(address, part, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    with pytest.raises(ValueError, match=part):
        check_answer(address)
