"""A question is asked in a terminal alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from seisweep.screen.asking import can_ask

CODE = "from seisweep.screen.asking import ask, can_ask; print(can_ask(), repr(ask('why?')))"


def test_in_a_terminal_it_waits_for_a_line():
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", CODE], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.write(ours, b"  because \n")
    out, _ = process.communicate(timeout=60)
    assert out.decode().strip() == "True 'because'"
    assert b"why? " in os.read(ours, 1000)
    for end in (ours, theirs):
        os.close(end)


def test_elsewhere_nobody_is_asked(monkeypatch):
    done = subprocess.run([sys.executable, "-c", CODE], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "False ''"
    assert not can_ask()
