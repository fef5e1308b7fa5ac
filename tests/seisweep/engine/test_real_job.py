"""A sweep as a job of a real Ray with a token: one node, its job server, and a user who is told nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from seisweep.cli import run
from seisweep.results import load
from seisweep.settings.home import Home

pytestmark = pytest.mark.integration
TESTS = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def job_server(tmp_path: Path) -> Iterator[str]:
    """Address of the job server of a Ray that is there for one test."""
    port, of_clients = unused_port(), unused_port()
    folder = Path("/tmp") / f"ray-{os.getpid()}"  # sockets want a short one
    places = [str(TESTS), str(TESTS.parent / "platform"), str(TESTS.parent)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_enable_metrics_collection": "0",
    }
    options = ["--head", "--port=0", f"--dashboard-port={port}", "--num-cpus=2", f"--temp-dir={folder}", "--block"]
    # The agent takes jobs at a port of its own, and does without where another Ray of this machine has it.
    options += ["--dashboard-agent-listen-port=0"]
    options += ["--object-store-memory=100000000", "--disable-usage-stats", f"--ray-client-server-port={of_clients}"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
    log = tmp_path / "ray.log"
    with log.open("wb") as said:
        node = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline_s = time.monotonic() + 120
        while not _lets_in(address):
            over = node.poll() is not None or time.monotonic() > deadline_s
            assert not over, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(60)
        subprocess.run(["rm", "-rf", folder], check=True)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _lets_in(address: str) -> bool:
    try:
        headers = {"authorization": f"Bearer {TOKEN}"}
        return requests.get(f"{address}/api/version", headers=headers, timeout=5).ok
    except requests.RequestException:
        return False


def test_a_sweep_runs_as_a_job_with_what_the_profile_carries(job_server, home, tmp_path, monkeypatch, capsys):
    token, job_home = tmp_path / "token", tmp_path / "shared" / "home"
    token.write_text(TOKEN)
    job_home.parent.mkdir()
    # A variable that seisweep sets for trials too: Ray would refuse to put the two together.
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.3")
    Path("lab.toml").write_text(
        f'submit_to = "{job_server}"\ntoken_file = "{token}"\njob_home = "{job_home}"\n'
        'carry = ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"]\n'
    )
    words = ["train", "toy_trainable:train", "--name", "sent", "--profile", "lab.toml"]
    assert run([*words, "x=0.2", "training.epochs=2"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert "sent is the job seisweep-sent-1 of" in said
    assert "trial 0 done after epoch 2" in said
    assert [file.name for file in home.iterdir()] == ["jobs"]
    trials = load("sent", Home(job_home).mlflow_uri).trials
    assert trials["state"].tolist() == ["done"]

    run(["doctor", "--profile", "lab.toml"])  # fails where this machine has less than a sweep wants
    looked = capsys.readouterr().out
    assert "1 nodes, 2 CPUs" in looked.partition("as a job of")[2]
    assert run(["sweeps", "--profile", "lab.toml", "--format", "csv"]) == 0
    assert "doctor-" not in capsys.readouterr().out
