"""A job server of Ray that runs nothing: what it was asked is kept, and a test says what becomes of the jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeJobServer:
    """Jobs by id, as Ray's JSON has them; `token`: what it wants, None where it takes anybody."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.jobs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, str] = {}
        self.stopped: list[str] = []
        self.nodes: list[str] = []
        self.address = ""
        self.outcome = {"status": "SUCCEEDED", "driver_exit_code": 0}
        """Of each job, where a test lets them end at once."""
        self.silent = False
        self.without_agent = 0
        """So many submissions are refused before one is taken, as by a cluster that has just begun."""

    def ends(self, id: str, status: str, code: int | None = None, **more: Any) -> None:
        self.jobs[id] |= {"status": status, "driver_exit_code": code, **more}

    def submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        if self.without_agent:
            self.without_agent -= 1
            return 500, "No available agent to submit job, please try again later."
        id = request["submission_id"]
        if id in self.jobs:
            return (
                400,
                f"Traceback\nValueError: Job with submission_id {id} already exists. Please use a different one.",
            )
        self.jobs[id] = request | {"type": "SUBMISSION", "status": "PENDING", "start_time": 1000 * len(self.jobs)}
        return 200, {"job_id": id, "submission_id": id}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/version":
            return 200, {"ray_version": "2.60.0", "version": "4"}
        if path == "/api/v0/nodes":
            nodes = [{"node_id": node, "state": "ALIVE"} for node in self.nodes]
            return 200, {"data": {"result": {"result": nodes}}}
        if path == "/api/jobs/":
            return self.submit(json.loads(body)) if method == "POST" else (200, list(self.jobs.values()))
        id, _, what = path.removeprefix("/api/jobs/").partition("/")
        if id not in self.jobs:
            return 404, f"Job {id} does not exist"
        if what == "logs":
            return 200, {"logs": self.logs.get(id, "")}
        if what == "stop":
            self.stopped.append(id)
            self.ends(id, "STOPPED")
            return 200, {"stopped": True}
        if method == "DELETE":
            self.forget(id)
            return 200, {"deleted": True}
        return 200, self.jobs[id]

    def forget(self, id: str) -> None:
        del self.jobs[id]


class FinishingJobServer(FakeJobServer):
    """One whose jobs end at once, with its `outcome`."""

    log = ""
    """What each job says."""

    def submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        answer = super().submit(request)
        self.jobs[request["submission_id"]] |= self.outcome
        self.logs[request["submission_id"]] = self.log
        return answer


@contextmanager
def serving(fake: FakeJobServer) -> Iterator[FakeJobServer]:
    """While it is open, it listens at `fake.address`."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            given = self.headers.get("authorization")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if fake.silent:
                self.close_connection = True
                return
            if fake.token is not None and given != f"Bearer {fake.token}":
                code, said = (401, "Unauthorized: Missing") if not given else (403, "Forbidden: Invalid")
            else:
                code, said = fake.answer(self.command, self.path, body)
            content = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one

        def log_message(self, *arguments: Any) -> None:
            pass

    with listening(Handler) as fake.address:
        yield fake


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address on this machine at which a server with this handler answers meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
