"""with_nodes.py: waits for what an autoscaler makes, then is the command that it was given."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import ray
from ray.autoscaler import sdk


@pytest.fixture
def with_nodes(docker_folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("with_nodes", docker_folder / "with_nodes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, float]]]:
    """What the autoscaler is asked for; it makes a node at each look."""
    requests: list[list[dict[str, float]]] = []
    nodes = [{"Alive": True, "Resources": {"memory": 1.0}}, {"Alive": False, "Resources": {"CPU": 8.0, "GPU": 8.0}}]

    def look() -> list[dict[str, object]]:
        nodes.append({"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}})
        return nodes

    monkeypatch.setattr(ray, "init", lambda *_, **__: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "nodes", look)
    monkeypatch.setattr(sdk, "request_resources", lambda bundles: requests.append(bundles))
    return requests


def test_the_command_runs_when_the_nodes_are_there_and_they_may_go_after_it(with_nodes, asked, monkeypatch):
    monkeypatch.setattr(with_nodes, "LOOK_EVERY_S", 0)
    assert with_nodes.main(["--nodes", "3", "--cpus", "4", "--gpus", "1", "--", "bash", "-c", "exit 3"]) == 3
    assert asked == [[{"CPU": 4, "GPU": 1}] * 3, []]


def test_nodes_that_do_not_come_are_given_up(with_nodes, asked, capsys):
    assert with_nodes.main(["--nodes", "9", "--gpus", "1", "--wait-s", "0", "--", "false"]) == 2
    assert "1 of 9 nodes with 1 CPU, 1 GPU are there after 0 s" in capsys.readouterr().err
    assert asked[-1] == []


def test_a_signal_reaches_the_command(docker_folder):
    program = (
        f"import sys; sys.path.insert(0, {str(docker_folder)!r}); import with_nodes; "
        "sys.exit(with_nodes.run(['bash', '-c', 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.05; done']))"
    )
    begun = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert begun.stdout
    assert begun.stdout.readline() == "ready\n"
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(20) == 7
