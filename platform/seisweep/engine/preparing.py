"""What trials do before their first epoch: a teacher that labels a month of streams takes its time, and says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from seisweep.workers.trial import log_name

SAY_EVERY_S = 20.0
_LAST_BYTES = 4096
_MESSAGE = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:INFO|WARNING) trainables[\w.]*: (.*)$", re.MULTILINE)


class Preparing:
    """Repeats what trials without an epoch wrote into their logs last, each line once."""

    def __init__(self, logs: Path, say: Callable[[str], None], clock: Callable[[], float] = time.time) -> None:
        self.logs, self.say, self.clock = logs, say, clock
        self._looked = clock()
        self._said: set[str] = set()

    def look(self, numbers: Iterable[int]) -> None:
        """At the logs of these trials. Called often; looks now and then."""
        now = self.clock()
        if now - self._looked < SAY_EVERY_S:
            return
        before, self._looked = self._looked, now
        for number in numbers:
            line = last_message(self.logs / log_name(number), before)
            if line and line not in self._said:
                self._said.add(line)
                self.say(f"trial {number}: {line}")


def last_message(log: Path, since: float) -> str:
    """The last line that a trainable wrote there, if the file has changed since that time (as `time.time`)."""
    try:
        if log.stat().st_mtime <= since:
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LAST_BYTES))
            messages = _MESSAGE.findall(file.read())
    except OSError:  # not begun, or on another machine
        return ""
    return messages[-1].decode(errors="replace") if messages else ""
