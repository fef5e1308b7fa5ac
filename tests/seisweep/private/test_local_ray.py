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
import ray
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
    sessions = list(Path(os.environ["RAY_TMPDIR"]).rglob("session_2*"))
    above = [folder for folder in sessions[0].parents if folder.is_relative_to(os.environ["RAY_TMPDIR"])]
    print(json.dumps({
        "token": mode(Path.home() / ".ray" / "auth_token"),
        "closed": any(mode(folder) == 0o700 for folder in above),
        "listens": sorted({c.laddr.ip for c in sockets if c.status == "LISTEN"}),
        "masks": [before, after, os.umask(0o027)],
    }))
"""


@pytest.mark.integration
def test_nothing_of_a_local_ray_is_open_to_other_users_or_to_the_network(tmp_path):
    short = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))  # names of sockets may not be long
    short.chmod(0o777)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("ab" * 32)  # an earlier Ray has left it open
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
    assert found["closed"], "no other user gets to the folders of the session"
    assert set(found["listens"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert found["masks"] == [0o077, 0o027, 0o027], "closed for Ray; the user's own in trials and afterwards"


def test_ray_lies_in_a_folder_that_is_closed_and_the_mask_is_the_users_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(private, "LONGEST_BASE", 1000)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv(private.MASK, raising=False)
    monkeypatch.setattr("ray._private.worker._global_node", None)  # that of other tests of this process
    before = os.umask(0o022)
    try:
        for _ in range(2):  # also where it is there already
            with private.closed_to_others() as options:
                assert ray.util.get_node_ip_address() == "127.0.0.1"
                (tmp_path / "token").write_text("secret")
        assert os.umask(0o022) == 0o022
        assert os.environ[private.MASK] == "22"
        assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
        folder = Path(options["_temp_dir"]).parent
        assert folder == tmp_path / f"seisweep-{os.getuid()}"
        assert (folder.stat().st_mode & 0o777, (tmp_path / "token").stat().st_mode & 0o777) == (0o700, 0o600)
        folder.rmdir()
        folder.symlink_to(tmp_path)  # somebody was faster, and would read all of it
        with private.closed_to_others() as options:
            other = Path(options["_temp_dir"]).parent
        assert other not in (folder, tmp_path)
        assert other.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
