"""A home that cannot be written answers whoever reads it, and stays as it is to the last byte."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lifelike import stream, write
from older import NAME, write_older_home
from seisweep.private.mlflow import open_to_read
from seisweep.settings.home import Home

TESTS = Path(__file__).resolve().parents[1]
ROOMS = [str(TESTS.parent / "platform"), str(TESTS.parent), str(TESTS)]
MOUNTED = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
ANSWERS = """
import contextlib, io, json, sys
from seisweep.cli import run
answers = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    answers.append([code, out.getvalue(), err.getvalue()])
print("ANSWERS", json.dumps(answers))
"""

Ask = Callable[[Home, list[list[str]]], list[list[Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Runs commands on a home that nobody can write: mounted so, as root may write whatever its rights say."""
    mounts = shutil.which("unshare") is not None and _mounted(tmp_path, ["true"]).returncode == 0
    if not mounts and os.geteuid() == 0:
        pytest.skip("root writes everywhere, and nothing can be mounted here")
    closed: list[Path] = []

    def run(home: Home, commands: list[list[str]]) -> list[list[Any]]:
        words = [sys.executable, "-c", ANSWERS, json.dumps(commands)]
        environment = {
            **os.environ, "SEISWEEP_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(ROOMS), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        if not mounts:
            closed.extend(path for path in [home.root, *home.root.rglob("*")] if path.is_dir())
            for folder in closed:
                folder.chmod(0o555)
        done = _mounted(home.root, words, environment) if mounts else _run(words, environment)
        assert "ANSWERS" in done.stdout, done.stderr
        return json.loads(done.stdout.rpartition("ANSWERS")[2])

    yield run
    for folder in closed:
        folder.chmod(0o755)


def _mounted(folder: Path, words: list[str], environment: dict[str, str] | None = None) -> Any:
    return _run(["unshare", "-rm", "bash", "-c", MOUNTED, "-", str(folder), *words], environment)


def _run(words: list[str], environment: dict[str, str] | None) -> Any:
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.integration
def test_a_read_only_home_answers_who_reads(ask, home, earthquakes, teacher_file, tmp_path):
    """One that was moved before, so that its record has the place where it lay."""
    first = write_older_home(home, earthquakes, teacher_file)
    there = Home(tmp_path / "read only")
    first.root.rename(there.root)
    with closing(sqlite3.connect(there.database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    before, page, picks = stamps(there.root), tmp_path / "page.html", tmp_path / "picks.csv"
    day, packed = write(stream(), tmp_path / "day.mseed"), tmp_path / "packed.tar.gz"
    with closing(open_to_read(there.database)) as connection:
        ((run_id,),) = connection.execute("SELECT run_uuid FROM tags WHERE key = 'trial' AND value = '0'")
    answers = ask(
        there,
        [
            ["sweeps", "--format", "json"],
            ["results", NAME, "--format", "json"],
            ["report", NAME, "--output", str(page)],
            ["pick", NAME, str(day), "--output", str(picks)],
            ["pick", f"runs:/{run_id}", str(day), "--output", str(tmp_path / "again.csv")],
            ["pack", NAME, str(packed)],
            ["resume", NAME],
            ["ui"],
        ],
    )
    assert [code for code, _, _ in answers] == [0, 0, 0, 0, 0, 0, 2, 2], answers
    assert [one["name"] for one in json.loads(answers[0][1])] == [NAME]
    assert len(json.loads(answers[1][1])) == 3
    assert "seisweep run distillation" in page.read_text(), "the line that runs it again is in a file of the record"
    assert "not on the page" not in answers[2][2]
    assert picks.read_text() == (tmp_path / "again.csv").read_text() != ""
    for _, _, error in answers[-2:]:
        assert error.startswith(f"seisweep: home {there.root} cannot be written")
        assert error.count("\n") == 1
    assert stamps(there.root) == before


def test_what_a_writer_has_not_yet_put_into_the_database_is_read_too(tmp_path):
    """The write-ahead log of a writer that was killed, in a folder where SQLite can make no index for it."""
    live, copied = tmp_path / "live.db", tmp_path / "copied"
    copied.mkdir()
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        for file in tmp_path.glob("live.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, copied)
    with closing(open_to_read(copied / "live.db")) as reader:
        assert reader.execute("SELECT a FROM t").fetchall() == [(1,)]
