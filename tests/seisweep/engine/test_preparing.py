from __future__ import annotations

import os
from pathlib import Path

import pytest
from seisweep.engine.preparing import SAY_EVERY_S, Preparing, last_message
from seisweep.workers.trial import log_name

LINE = "2026-11-30 03:56:{:02d},680 {} {}: {}\n"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write(log: Path, changed: float, *messages: str, level: str = "INFO", name: str = "trainables.data") -> None:
    with log.open("a") as file:
        file.writelines(LINE.format(second, level, name, message) for second, message in enumerate(messages))
    os.utime(log, (changed, changed))


@pytest.fixture
def said(tmp_path: Path) -> tuple[Preparing, list[str], Clock]:
    lines: list[str] = []
    clock = Clock()
    return Preparing(tmp_path, lines.append, clock), lines, clock


def test_the_last_line_of_a_log_is_said_once(tmp_path: Path, said: tuple[Preparing, list[str], Clock]) -> None:
    preparing, lines, clock = said
    write(
        tmp_path / log_name(3), clock.now + 5, "labelling 480 h of 20 stations", "labelled 2 of 20 stations, 9 min left"
    )
    preparing.look([3])
    assert lines == []  # too early
    clock.now += SAY_EVERY_S
    preparing.look([3])
    preparing.look([3])
    assert lines == ["trial 3: labelled 2 of 20 stations, 9 min left"]
    write(tmp_path / log_name(3), clock.now + 5, "labelled 7 of 20 stations, 6 min left")
    write(tmp_path / log_name(4), clock.now + 5, "labelled 7 of 20 stations, 6 min left")
    clock.now += SAY_EVERY_S
    preparing.look([3, 4])
    assert lines[1:] == ["trial 3: labelled 7 of 20 stations, 6 min left"]


def test_what_an_earlier_session_wrote_is_not_said(tmp_path: Path, said: tuple[Preparing, list[str], Clock]) -> None:
    preparing, lines, clock = said
    write(tmp_path / log_name(0), clock.now - 1, "labelled 2 of 20 stations, 9 min left")
    clock.now += SAY_EVERY_S
    preparing.look([0, 1])  # 1 has no log, as on another machine
    assert lines == []


def test_lines_of_others_and_tracebacks_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 2000.0, "window store of ETHZ, split train: 400 of 800 traces")
    write(log, 2000.0, "Using blocking ray.get", level="WARNING", name="ray.worker")
    with log.open("a") as file:
        file.write("Traceback (most recent call last):\n  INFO trainables.data: not a line of a log\n")
    assert last_message(log, since=1000.0) == "window store of ETHZ, split train: 400 of 800 traces"
    assert last_message(log, since=1e12) == ""
