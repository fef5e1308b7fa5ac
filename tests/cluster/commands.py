"""Commands of a machine: the environment that they get, their output, their end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chaos.processes import Process, descendants

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = "/home/user"


class Command:
    """A command of a machine, under way or over."""

    def __init__(self, words: list[str], env: Mapping[str, str], files: Path) -> None:
        self.words, self.out, self.err = words, files.with_suffix(".out"), files.with_suffix(".err")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                words, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    @property
    def stdout(self) -> str:
        return self.out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self.err.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs, -N after signal N."""
        return self.process.poll()

    def wait(self, limit_s: float = 300) -> int:
        """Its exit code. One that takes longer is killed: AssertionError with what it said last."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"{self} ran for more than {limit_s:.0f} s") from None

    def send(self, number: signal.Signals) -> None:
        """A signal to the command itself and to none of its children."""
        own = [process for process in descendants(self.process.pid) if _parent(process.pid) == self.process.pid]
        for process in own:
            os.kill(process.pid, number)

    def family(self) -> set[Process]:
        """The command and its descendants."""
        return descendants(self.process.pid)

    def end(self) -> None:
        """It and all its descendants are killed."""
        while alive := [process for process in self.family() if process.alive]:
            for process in alive:
                process.kill()
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()

    def __repr__(self) -> str:
        return f"{shlex.join(self.words[self.words.index('env') + 2 :])}\n{self.stdout[-2000:]}\n{self.stderr[-4000:]}"


def environment() -> dict[str, str]:
    """What every command gets: this Python, this repository, one thread."""
    places = [REPOSITORY / "platform", REPOSITORY, REPOSITORY / "tests", REPOSITORY / "tests" / "chaos"]
    return {
        "HOME": HOME,
        "USER": "root",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PATH": os.pathsep.join([f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def wait_until(there: Callable[[], bool], limit_s: float, otherwise: str | Callable[[], str]) -> None:
    """Until it is so. Raises AssertionError where that takes too long, with what `otherwise` is by then."""
    deadline_s = time.monotonic() + limit_s
    while not there():
        said = otherwise if isinstance(otherwise, str) else otherwise()
        assert time.monotonic() < deadline_s, f"{said} (waited {limit_s:.0f} s)"
        time.sleep(0.1)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
