"""What is fetched to be read ends with the process that read it."""

from __future__ import annotations

import subprocess
import sys

CODE = "from seisweep.settings.temporary import fresh_folder; a, b = fresh_folder(), fresh_folder(); assert a != b; {}"


def test_nothing_stays_of_a_process_that_has_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", CODE.format("(a / 'file').touch(); print(a)")], capture_output=True)
    assert done.stdout.decode().startswith(str(tmp_path)), done.stderr
    failed = subprocess.run([sys.executable, "-c", CODE.format("raise ValueError")], capture_output=True)
    assert b"ValueError" in failed.stderr
    assert list(tmp_path.iterdir()) == []
