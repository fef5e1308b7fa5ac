"""A stand-in for a Hugging Face hub on this machine: as much of its interface as pushing and fetching a folder asks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from fake_job_server import listening

NOT_FOUND = {"X-Error-Code": "RepoNotFound"}


class FakeHub:
    """Repositories by name, each with its files; everything lies in one commit."""

    def __init__(self, token: str = "hf_right", user: str = "me", orgs: tuple[str, ...] = ("lab",)) -> None:
        self.token, self.user, self.orgs = token, user, orgs
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.asked: list[str] = []
        """Method and path of each request."""
        self.refuses_commits = False
        self.address = ""

    def commit_of(self, repository: str) -> str:
        digest = hashlib.sha1()
        for name, content in sorted(self.repositories[repository].items()):
            digest.update(name.encode() + b"\0" + content)
        return digest.hexdigest()

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any, dict[str, str]]:
        self.asked.append(f"{method} {path}")
        if path == "/api/whoami-v2":
            if token != self.token:
                return 401, {"error": "Invalid credentials"}, {}
            return 200, {"name": self.user, "type": "user", "orgs": [{"name": one} for one in self.orgs]}, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+)/([^/?]+)(.*))?", path):
            repository, what, revision, _ = found.groups()
            return self._model(repository, what, revision, body, token)
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*found.groups(), token)
        return 404, {"error": f"no such address {path}"}, {}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        repository = f"{wanted['organization'] or self.user}/{wanted['name']}"
        is_new = repository not in self.repositories
        if is_new:
            self.repositories[repository] = {}
            if wanted.get("private") or wanted.get("visibility") == "private":
                self.private.add(repository)
        return 200 if is_new else 409, {"url": f"{self.address}/{repository}"}, {}

    def _sees(self, repository: str, token: str) -> bool:
        return repository in self.repositories and (repository not in self.private or token == self.token)

    def _model(
        self, repository: str, what: str | None, revision: str, body: bytes, token: str
    ) -> tuple[int, Any, dict[str, str]]:
        if not self._sees(repository, token):
            return 404 if token else 401, {"error": "Repository not found"}, NOT_FOUND
        files = self.repositories[repository]
        if what in ("revision", "tree") and revision not in ("main", self.commit_of(repository)):
            return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
        if what in (None, "revision"):
            siblings = [{"rfilename": name} for name in files]
            return 200, {"id": repository, "sha": self.commit_of(repository), "siblings": siblings, "tags": []}, {}
        if what == "tree":
            return 200, [{"type": "file", "oid": oid(c), "size": len(c), "path": n} for n, c in files.items()], {}
        if what == "preupload":
            names = [one["path"] for one in json.loads(body)["files"]]
            told = [{"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for name in names]
            return 200, {"files": told}, {}
        if what == "commit" and not self.refuses_commits:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            made = self.commit_of(repository)
            return 200, {"commitOid": made, "commitUrl": f"{self.address}/{repository}/commit/{made}"}, {}
        return 403, {"error": "Forbidden"}, {}

    def _file(self, repository: str, revision: str, name: str, token: str) -> tuple[int, Any, dict[str, str]]:
        if not self._sees(repository, token):
            return 404, {"error": "Repository not found"}, NOT_FOUND
        content = self.repositories[repository][name]
        return 200, content, {"X-Repo-Commit": self.commit_of(repository), "ETag": f'"{oid(content)}"'}


def oid(content: bytes) -> str:
    """As git names a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """While it is open, it listens at `hub.address`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0].replace("%40", "@")
            code, said, headers = hub.answer(self.command, path, body, token)
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(code)
            for key, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = handle_one

        def log_message(self, *arguments: Any) -> None:
            pass

    with listening(Handler) as hub.address:
        yield hub
