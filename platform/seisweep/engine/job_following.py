"""Follows a job to its end: shows what it writes, and puts another one in its place where it dies with its node.

Nobody on the cluster watches a job. Whoever follows it does: the terminal that submitted it, or `seisweep logs NAME`
later, from any machine. What has died while nobody looked is submitted again when somebody does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from seisweep.engine.job import LOST, Job
from seisweep.engine.jobs import Server, SilentServerError

LOOK_EVERY_S, LOOK_AT_LEAST_EVERY_S = 1.0, 30.0
"""A log comes as a whole: one that takes long is asked for less often."""

PATIENCE_S = 600.0
"""So long a job server may be silent; its jobs go on."""

_RAYS_OWN = re.compile(r"^(Running entrypoint for job |.* -- Runtime env is setting up\.$)")

T = TypeVar("T")
Show = Callable[[str], None]
"""Takes a line."""


def follow(server: Server, job: Job, show: Show, say: Show) -> Job:
    """The job, or the one that took its place, when it is over. `show` gets what jobs write, `say` what is to be said
    of them. Raises ValueError where the server is silent for long."""
    while True:
        job = over = _until_over(server, job, show, say)
        if not (over.has_died or over.found_no_place):
            if over.driver_exit_code is None and over.status == "FAILED":
                say(f"the job {over.id} could not begin: {over.message}")
            return over
        following = _patiently(partial(server.submit_again, over), say)
        why = f"has died ({_how(over)})" if over.has_died else "cannot run on its node"
        if following is None:
            tried = f" after being submitted again {over.again} times" if over.again and over.has_died else ""
            why = f"{why}{tried}" if over.has_died else "found no node that can run it"
            say(f"the job {over.id} {why}; go on with: seisweep resume {over.sweep}")
            return over
        say(f"the job {over.id} {why}: submitted again as {following.id}")
        job = following


def _until_over(server: Server, job: Job, show: Show, say: Show) -> Job:
    lines = _Lines(show)
    while True:
        began_s = time.monotonic()
        job = now = _patiently(partial(server.look, job), say)  # before the log: so that what it writes last is read
        lines.now(server.log(now))
        if now.is_over:
            lines.end()
            return now
        took_s = time.monotonic() - began_s
        time.sleep(min(max(LOOK_EVERY_S, 10 * took_s), LOOK_AT_LEAST_EVERY_S))


def _patiently(ask: Callable[[], T], say: Show) -> T:
    """What the server answers, once it does. Raises SilentServerError after `PATIENCE_S`."""
    began_s, is_said = time.monotonic(), False
    while True:
        try:
            return ask()
        except SilentServerError as error:
            if time.monotonic() - began_s > PATIENCE_S:
                raise
            if not is_said:
                say(f"{error}; the job goes on meanwhile")
            is_said = True
        time.sleep(LOOK_EVERY_S)


class _Lines:
    """The lines of a text that grows, each once; those that Ray puts before them left out."""

    def __init__(self, show: Show) -> None:
        self._show, self._done, self._rest = show, 0, ""

    def now(self, text: str | None) -> None:
        """All of the text as it is now; None where it cannot be had."""
        if text is None:
            return
        *whole, self._rest = (self._rest + text[self._done :]).split("\n")
        self._done = max(self._done, len(text))
        for line in whole:
            if not _RAYS_OWN.match(line):
                self._show(line)

    def end(self) -> None:
        if self._rest:
            self._show(self._rest)


def _how(job: Job) -> str:
    if job.driver_exit_code is not None:
        signal = -job.driver_exit_code if job.driver_exit_code < 0 else job.driver_exit_code - 128
        return f"killed by signal {signal}"
    if job.error == LOST:
        return "with its cluster"
    return "with its node" if "its node has died" in job.message else (job.message or job.error)[:300]
