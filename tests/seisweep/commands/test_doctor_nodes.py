"""`seisweep doctor` on a cluster: a table of its nodes, and exit code 1 where one of them would fail."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from seisweep.cli import run
from seisweep.commands import doctor_nodes
from seisweep.engine.preflight import Node, Verdict

SOUND = {"python": "3.11", "seisweep": "0.1.0 ab", "torch": "2.13.0", "cuda": "13.0", "gpus": 1, "facts": {}}
WITH_TOKEN = SOUND | {"token": True}


@pytest.fixture
def verdicts(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """Of the nodes of a cluster that is the profile `lab`."""
    found: list[Verdict] = []
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "lab.toml").write_text('ray_address = "head:6379"\nstorage_path = "/shared"\n')
    monkeypatch.setattr(doctor_nodes, "check_answer", lambda address, profile: None)
    monkeypatch.setattr(doctor_nodes, "connected", lambda profile: nullcontext("http://head:8265"))
    monkeypatch.setattr(doctor_nodes, "nodes_alive", lambda: [verdict.node for verdict in found])
    monkeypatch.setattr(doctor_nodes, "check_all", lambda question, nodes, say: found)
    return found


def node(name: str) -> Node:
    return Node(name, name, f"10.0.0.{name[-1]}", {"CPU": 2, "GPU": 1})


def test_sound_nodes_stand_in_a_table_and_nothing_fails(verdicts, capsys):
    verdicts += [Verdict(node("w1"), WITH_TOKEN, {}, 0.24), Verdict(node("w2"), SOUND | {"token": False}, {}, -1.0)]
    assert run(["doctor", "--profile", "lab"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ok     ray cluster    2 nodes, 4 CPUs, 2 GPUs; its dashboard: http://head:8265" in lines
    table = [" ".join(line.split()) for line in lines[-3:]]
    assert table == [
        "node CPUs Python seisweep torch CUDA GPUs data storage clock token",
        "w1 (10.0.0.1) 2 3.11 0.1.0 ab 2.13.0 13.0 1 of 1 - ok +0.2 s yes",
        "w2 (10.0.0.2) 2 3.11 0.1.0 ab 2.13.0 13.0 1 of 1 - ok -1.0 s none: open to all who reach it",
    ]


def test_a_node_that_would_fail_is_named_and_is_exit_code_1(verdicts, capsys):
    verdicts += [
        Verdict(node("w1"), WITH_TOKEN, {"storage": "no room"}, 0.0),
        Verdict(node("w2"), {"python": "3.11"}, {"seisweep": "seisweep is not installed there"}),
        Verdict(node("w3"), {}, {"answer": "it has not answered within 600 s"}),
    ]
    assert run(["doctor", "--profile", "lab"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "fails  node           w1 (10.0.0.1): no room" in lines
    assert "fails  node           w2 (10.0.0.2): seisweep is not installed there" in lines
    assert " fails " in lines[-3]
    assert " ".join(lines[-2].split()) == "w2 (10.0.0.2) 2 3.11 - - - - - - - -"


def test_a_cluster_that_does_not_answer_is_one_line_and_exit_code_1(verdicts, monkeypatch, capsys):
    def silent(address: str, profile: object) -> None:
        raise ValueError(f"no Ray cluster answers at {address}: silence")

    monkeypatch.setattr(doctor_nodes, "check_answer", silent)
    assert run(["doctor", "--profile", "lab"]) == 1
    assert "fails  ray cluster    no Ray cluster answers at head:6379: silence" in capsys.readouterr().out.splitlines()
