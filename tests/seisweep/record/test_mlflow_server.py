from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from importlib.metadata import entry_points

import pytest
from filelock import FileLock
from seisweep.record import mlflow_server
from seisweep.record.mlflow_server import HOST, LOCK_FILE, OWN_PAGES, PORT_FILE, base_url, free_port, serve
from seisweep.settings.home import Home
from seisweep.settings.which_store import Store, own_store


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


@pytest.fixture
def free(monkeypatch):
    """Ports that nobody uses, whoever does on this machine."""
    ports = {5000, 5001, 5002}
    monkeypatch.setattr(mlflow_server, "_is_free", lambda port: port in ports)
    return ports


def test_links_name_the_port_that_is_served_before_and_after(engine_home, free, monkeypatch):
    free.remove(5000)
    printed = base_url(engine_home.mlflow_uri)
    assert printed == "http://127.0.0.1:5001", "where `seisweep ui` will be"
    free.add(5000)
    shown = []
    monkeypatch.setattr(mlflow_server, "_run", lambda home, store, port, show: show(f"http://{HOST}:{port}") or 0)
    assert serve(engine_home, own_store(engine_home), show=shown.append) == 0
    assert serve(engine_home, own_store(engine_home), 5002, shown.append) == 0
    assert shown == [printed, "http://127.0.0.1:5002"]
    assert base_url(engine_home.mlflow_uri) == "http://127.0.0.1:5002", "and from now on"


def test_another_port_than_links_name_is_said(engine_home, free, monkeypatch, capsys):
    assert base_url(engine_home.mlflow_uri).endswith(":5000")
    free.remove(5000)
    monkeypatch.setattr(mlflow_server, "_run", lambda *_: 0)
    serve(engine_home, own_store(engine_home))
    assert capsys.readouterr().err == "links that were printed before have port 5000: it is 5001 now\n"


@pytest.mark.parametrize("content", ["", "no number", "0", "70000"])
def test_a_port_that_cannot_be_read_is_none(engine_home, free, content):
    (engine_home.root / PORT_FILE).write_text(content)
    assert base_url(engine_home.mlflow_uri).endswith(":5000")


def test_pages_that_are_served_already_are_shown_and_not_served_twice(engine_home, free, monkeypatch, capsys):
    monkeypatch.setattr(mlflow_server, "_run", lambda *_: pytest.fail("a second server"))
    shown = []
    with FileLock(engine_home.root / LOCK_FILE):
        assert serve(engine_home, own_store(engine_home), show=shown.append) == 0
    assert shown == ["http://127.0.0.1:5000"]
    assert "are served already" in capsys.readouterr().err


def test_of_a_server_links_name_its_address():
    assert base_url("https://mlflow.lab/") == "https://mlflow.lab"


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
        opens_runs = "mlflow.workflowType_v1" in page.read().decode()
    assert re.fullmatch(r"http://127.0.0.1:\d+", address)
    assert opens_runs == bool(entry_points(group="mlflow.app", name=OWN_PAGES)), "where seisweep is installed"
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert "ui.log" in server.communicate()[1]
