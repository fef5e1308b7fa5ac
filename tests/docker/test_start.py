"""start.sh: what would go wrong later is one line at once, and what is well is started with the right words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest

TOKEN = "token-of-the-cluster"


@pytest.fixture
def start(programs, docker_folder):
    """Runs the script with these words; a node's Ray and seisweep are stand-ins."""
    for name in ("ray", "seisweep", "mlflow"):
        programs.write(name)

    def run(*words: str, **variables: str) -> tuple[int, str]:
        defaults = {"SEISWEEP_HOME": str(programs.folder / "home"), "START_LIMIT_S": "1"}
        return programs.run(str(docker_folder / "start.sh"), *words, **(defaults | variables))

    return run


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def a_head(token: str) -> Iterator[str]:
    """The address of what answers as the head of a Ray cluster with this token."""

    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        if dict(context.invocation_metadata()).get("authorization") != f"Bearer {token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid or missing authentication token")
        return b""

    class Head(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Head()])
    port = server.add_insecure_port("0.0.0.0:0")  # for Ray an address of the loopback is one of this machine's others
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@contextmanager
def a_page(status: int) -> Iterator[str]:
    """The port of a server that answers everything with this status."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


def refused(answer: tuple[int, str], *parts: str) -> None:
    code, said = answer
    assert code == 2, said
    assert said.count("\n") == 1, said
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("role", "given", "lacks"),
    [
        ("head", {}, "RAY_AUTH_TOKEN"),
        ("worker", {"RAY_AUTH_TOKEN": ""}, "RAY_AUTH_TOKEN"),
        ("mlflow", {}, "POSTGRES_PASSWORD"),
        ("mlflow", {"POSTGRES_PASSWORD": "x"}, "MLFLOW_TRACKING_PASSWORD"),
        ("sweep", {"RAY_AUTH_TOKEN": TOKEN}, "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_a_missing_secret_is_named_with_where_it_goes(start, role, given, lacks):
    refused(start(role, **given), f"seisweep {role}: {lacks} is missing", f"{lacks}_FILE", "docker/.env")


def test_a_secret_may_be_a_file(start, programs):
    file = programs.folder / "token"
    named = {"RAY_AUTH_TOKEN_FILE": str(file)}
    refused(start("head", **named), f"RAY_AUTH_TOKEN is missing: the file {file}", "cannot be read")
    file.write_text("")
    refused(start("head", **named), "RAY_AUTH_TOKEN is missing")
    file.write_text(f"{TOKEN}\n")
    head, jobs = closed_port(), closed_port()
    code, said = start("head", RAY_HEAD=f"127.0.0.1:{head}", RAY_JOBS_PORT=str(jobs), **named)
    assert code == 0, said
    (called,) = programs.calls
    for option in ("--head --block", f"--port={head}", "--num-cpus=0", f"--dashboard-port={jobs}"):
        assert option in called
    assert TOKEN not in called


def test_without_a_role_it_says_which_there_are_and_other_programs_run(start):
    refused(start(), "head, worker, mlflow, sweep COMMAND")
    assert start("true") == (0, "")


def test_a_taken_port_is_named(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused(start("head", RAY_AUTH_TOKEN=TOKEN, RAY_HEAD=f"head:{port}"), f"port {port} is taken", f"grep :{port}")


def test_a_volume_that_is_full_or_belongs_to_others_is_named(start, programs):
    free = {"RAY_AUTH_TOKEN": TOKEN, "RAY_HEAD": f"head:{closed_port()}", "RAY_JOBS_PORT": str(closed_port())}
    refused(start("head", SEISWEEP_HOME="/proc/home", **free), "/proc/home cannot be written", "chown")
    programs.write("df", "echo Avail; echo '   12'")
    refused(start("head", **free), f"the volume of {programs.folder}/home is full: 12 MB are free, 500 MB are needed")


def test_a_head_that_is_not_there_is_waited_for_and_named(start):
    port = closed_port()
    answer = start("worker", RAY_AUTH_TOKEN=TOKEN, RAY_HEAD=f"127.0.0.1:{port}")
    refused(answer, f"the head of the Ray cluster at 127.0.0.1:{port} has not answered for 1 s")


def test_a_worker_with_another_token_is_refused_and_one_with_the_heads_joins(start, programs):
    with a_head(TOKEN) as address:
        refused(start("worker", RAY_AUTH_TOKEN="another", RAY_HEAD=address), address, "does not take the token in RAY")
        assert programs.calls == []
        code, said = start("worker", RAY_AUTH_TOKEN=TOKEN, RAY_HEAD=address, WORKER_CPUS="3", NODE_IP="10.0.0.7")
        assert code == 0, said
    (called,) = programs.calls
    for option in (f"--address={address} --block", "--num-cpus=3", "--num-gpus=0", "--node-ip-address=10.0.0.7"):
        assert option in called


def test_gpus_want_a_torch_that_can_use_them(start):
    torch = pytest.importorskip("torch")
    if torch.version.cuda is not None:
        pytest.skip("this torch can use GPUs")
    refused(start("worker", RAY_AUTH_TOKEN=TOKEN, WORKER_GPUS="2"), "2 GPUs are wanted", "TORCH_INDEX")


def test_a_sweep_becomes_a_node_without_cpus_and_a_reader_none(start, programs):
    login = {"RAY_AUTH_TOKEN": TOKEN, "MLFLOW_TRACKING_PASSWORD": "x"}
    assert start("sweep", "results", "first", "--top", "3", **login) == (0, "")
    assert programs.calls == ["seisweep results first --top 3"]
    programs.write("seisweep", "exit 3")
    with a_head(TOKEN) as address:
        assert start("sweep", "run", "distillation", RAY_HEAD=address, **login)[0] == 3
        assert "--num-cpus=0 --num-gpus=0" in programs.calls[1]
        assert programs.calls[2:] == ["seisweep run distillation"]
        programs.write("ray", "echo what Ray says; exit 1")
        code, said = start("sweep", "demo", RAY_HEAD=address, **login)
    assert code == 1
    assert said.splitlines() == [
        f"seisweep sweep: this container cannot become a node of {address}; Ray says:",
        "what Ray says",
    ]


def test_mlflow_waits_for_its_database_and_says_so(start):
    secrets = ["POSTGRES_PASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"]
    secrets += ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    nobody = "127.9.9.9"
    answer = start("mlflow", POSTGRES_HOST=nobody, **dict.fromkeys(secrets, "x"))
    if answer[1].startswith("seisweep mlflow: port 5000"):
        pytest.skip("something listens at port 5000 here")
    refused(answer, f"PostgreSQL at {nobody}:5432 has not answered for 1 s")


def test_a_head_is_well_while_its_job_server_says_so(start):
    with a_page(200) as port:
        assert start("healthy", "head", RAY_JOBS_PORT=port)[0] == 0
    with a_page(503) as port:
        assert start("healthy", "head", RAY_JOBS_PORT=port)[0] == 1
    assert start("healthy", "head", RAY_JOBS_PORT=str(closed_port()))[0] == 1


def see_only(programs, process: str) -> None:
    """Whatever else this machine runs."""
    programs.write("cat", f'[[ "$1" == /proc/* ]] && echo {process} || exec /bin/cat "$@"')


def test_what_a_container_was_started_as_is_what_is_looked_at(start, programs):
    see_only(programs, "bash")
    assert start("healthy") == (0, "")  # a sweep, or nothing yet
    start("worker", RAY_AUTH_TOKEN=TOKEN)
    assert start("healthy") == (1, "no raylet runs here\n")
    see_only(programs, "raylet")
    assert start("healthy") == (0, "")
    assert programs.calls[-1] == "seisweep doctor --profile local"


def test_a_worker_is_examined_now_and_then_and_not_at_every_look(start, programs):
    see_only(programs, "raylet")
    programs.write("seisweep", "exit 1")
    assert [start("healthy", "worker")[0] for _ in range(2)] == [1, 1]
    programs.write("seisweep")
    assert [start("healthy", "worker")[0] for _ in range(2)] == [0, 0]
    assert len([call for call in programs.calls if call.startswith("seisweep")]) == 3
