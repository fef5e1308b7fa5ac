"""A Ray that is started here is for this user and this machine alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from seisweep.private import ray as private

STARTED = """
import json, os, stat
from pathlib import Path
import psutil, ray
from seisweep.quiet import quiet
quiet()
from seisweep.engine.cluster import connected
from seisweep.private.ray import mask_of_the_user
from seisweep.settings.profile import Profile

def mode(path):
    return stat.S_IMODE(path.stat().st_mode)

@ray.remote
def masks():
    before = os.umask(0o77)
    mask_of_the_user()
    return before, os.umask(0)

os.umask(0o027)
with connected(Profile()):
    before, after = ray.get(masks.remote())
    me = psutil.Process()
    sockets = [c for p in [me, *me.children(recursive=True)] for c in p.net_connections("inet")]
    session = next(Path(os.environ["RAY_TMPDIR"], "ray").glob("session_2*"))
    print(json.dumps({
        "token": mode(Path.home() / ".ray" / "auth_token"),
        "session": mode(session),
        "files": sorted({mode(path) & 0o077 for path in session.rglob("*") if not path.is_symlink()}),
        "listens": sorted({c.laddr.ip for c in sockets if c.status == "LISTEN"}),
        "masks": [before, after, os.umask(0o027)],
    }))
"""


@pytest.mark.integration
def test_nothing_of_a_local_ray_is_open_to_other_users_or_to_the_network(tmp_path):
    short = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # names of sockets may not be long
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_TMPDIR": str(short)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", STARTED], env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        shutil.rmtree(short, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["token"] == 0o600
    assert found["session"] == 0o700
    assert set(found["listens"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert found["masks"] == [0o077, 0o027, 0o027], "closed for Ray; the user's own in trials and afterwards"


def test_the_folder_of_all_sessions_stays_open_and_a_session_does_not(tmp_path):
    from ray._common.utils import try_to_create_directory

    with private.closed_to_others():
        try_to_create_directory(str(tmp_path / "ray"))
        try_to_create_directory(str(tmp_path / "ray" / "session_1" / "logs"))
    modes = {folder.name: folder.stat().st_mode & 0o7777 for folder in tmp_path.rglob("*")}
    assert modes == {"ray": 0o1777, "session_1": 0o700, "logs": 0o700}
    try_to_create_directory(str(tmp_path / "session_2"))
    assert (tmp_path / "session_2").stat().st_mode & 0o777 == 0o777, "Ray's own way again"
