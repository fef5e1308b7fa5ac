from __future__ import annotations

import socket

import pytest
from seisweep.config import Profile
from seisweep.home import Home
from seisweep.ui import HOST, free_port, serve


def test_a_port_in_use_is_refused_or_stepped_over():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} is in use; choose another one with --port"):
            free_port(port)
    assert free_port(port) == port


def test_a_profile_with_a_server_needs_none_of_its_own(home, capsys):
    assert serve(Home.find(), Profile(tracking_uri="http://mlflow:5000")) == 0
    assert capsys.readouterr().out == "http://mlflow:5000\n"
