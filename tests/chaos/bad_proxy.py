"""A proxy before an MLflow server that does what bad networks do: errors, limits, login pages, answers too late.

    python tests/chaos/bad_proxy.py http://127.0.0.1:5000 --port 5001 --share 0.3 --late 45

With `--slow 1 --share 0` every call takes a second more. What it did is counted on standard output when it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import signal
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

LOGIN = b"<!doctype html><html><body>please log in</body></html>"
FAULTS = ("500", "429", "login", "asks late", "answers late")


class BadProxy(ThreadingHTTPServer):
    """Passes calls on to `server`, but a share of them."""

    daemon_threads = True

    def __init__(self, port: int, server: str, share: float, late_s: float, slow_s: float = 0, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Call)
        self.there, self.share, self.late_s, self.slow_s = urlparse(server), share, late_s, slow_s
        self.random, self.lock, self.counts = random.Random(seed), threading.Lock(), Counter[str]()

    def fault(self) -> str:
        """What becomes of the next call."""
        with self.lock:
            fault = self.random.choice(FAULTS) if self.random.random() < self.share else "passed"
            self.counts[fault] += 1
        return fault


class _Call(BaseHTTPRequestHandler):
    server: BadProxy
    protocol_version = "HTTP/1.1"

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = "passed" if self.path == "/health" else self.server.fault()
        time.sleep(self.server.slow_s)
        if fault == "500":
            self._answer(500, b"oops", "text/plain")
        elif fault == "429":
            self._answer(429, b"slowly", "text/plain")
        elif fault == "login":
            self._answer(200, LOGIN, "text/html")
        else:
            if fault == "asks late":
                time.sleep(self.server.late_s)
            status, content, kind = self._passed_on(body)
            if fault == "answers late":
                time.sleep(self.server.late_s)
            self._answer(status, content, kind)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_any

    def _passed_on(self, body: bytes) -> tuple[int, bytes, str]:
        there = self.server.there
        connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=60)
        kept = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "transfer-encoding")
        }
        try:
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "application/json")
        except OSError:
            return 502, b"nobody there", "text/plain"
        finally:
            connection.close()

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # who has asked is gone
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="address of the MLflow server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--share", type=float, default=0.3, help="of calls that go wrong")
    parser.add_argument("--late", type=float, default=45.0, help="seconds that a late call is late by")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that every call takes more")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    proxy = BadProxy(given.port, given.server, given.share, given.late, given.slow, given.seed)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=proxy.shutdown).start())
    with contextlib.suppress(KeyboardInterrupt):
        proxy.serve_forever()
    print(dict(proxy.counts), flush=True)


if __name__ == "__main__":
    main()
