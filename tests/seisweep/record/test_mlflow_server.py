from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from seisweep.record.mlflow_server import HOST, free_port, serve
from seisweep.settings.home import Home
from seisweep.settings.which_store import Store


def test_a_port_in_use_is_refused_or_stepped_over():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} is in use; choose another one with --port"):
            free_port(port)
    assert free_port(port) == port


def test_a_store_that_is_a_server_needs_none_of_its_own(home, capsys):
    assert serve(Home.find(), Store("http://mlflow:5000", "profile lab")) == 0
    assert capsys.readouterr().out == "http://mlflow:5000\n"


@pytest.mark.integration
def test_the_server_answers_until_ctrl_c(home):
    Home.find().prepare_store()
    server = subprocess.Popen(
        [sys.executable, "-m", "seisweep.cli", "ui"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    with urllib.request.urlopen(address) as page:
        assert page.status == 200
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert "ui.log" in server.communicate()[1]
