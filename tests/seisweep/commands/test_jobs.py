"""Sweeps sent to a cluster from the command line, against a job server that runs nothing; sweeps of this machine that
another terminal follows or stops."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_job_server import FakeJobServer, FinishingJobServer, serving
from seisweep.cli import run
from seisweep.commands import doctor_checks
from seisweep.engine import job_following

TESTS = Path(__file__).resolve().parents[2]
TOY = "toy_trainable:train"


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    """A cluster that finishes each job at once, as its `outcome` says; `lab.toml` in the current folder leads to it."""
    monkeypatch.setattr(job_following, "LOOK_EVERY_S", 0.0)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home.parent))
    with serving(FinishingJobServer()) as fake:
        fake.log = "trial 0 done\n"
        Path("lab.toml").write_text(f'submit_to = "{fake.address}"\njob_home = "/shared/home"\n')
        yield fake


def command_of(fake: FakeJobServer, job: str) -> str:
    return fake.jobs[job]["entrypoint"].partition("seisweep.cli ")[2]


def test_run_is_sent_as_it_was_typed_and_followed_to_its_end(cluster, home, capsys):
    assert run(["run", "distillation", "--profile", "./lab.toml", "data.dataset=ETHZ", "--samples", "3"]) == 0
    assert command_of(cluster, "seisweep-distillation-1-1") == (
        "run distillation data.dataset=ETHZ --samples 3 --profile lab --name distillation-1"
    )
    said = capsys.readouterr().err
    assert "distillation-1 is the job seisweep-distillation-1-1" in said
    assert "trial 0 done" in said
    assert [file.name for file in home.iterdir()] == ["jobs"]  # nothing but what was sent where
    assert run(["run", "distillation", "--profile", "lab.toml", "data.dataset=ETHZ"]) == 0  # the next free name
    assert "seisweep-distillation-2-1" in cluster.jobs


def test_one_that_runs_as_a_job_is_shown_and_not_deleted(cluster, home, capsys):
    run(["train", TOY, "--profile", "lab.toml", "--name", "mine", "--note", "first look"])
    cluster.ends("seisweep-mine-1", "RUNNING")
    capsys.readouterr()
    assert run(["sweeps", "mine", "--format", "json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts == {
        "name": "mine",
        "what it is": facts["what it is"],
        "note": "first look",
        "state": "running",
        "job": "seisweep-mine-1",
    }
    assert run(["delete", "mine", "--yes"]) == 2
    assert capsys.readouterr().err == (
        "seisweep: mine is running as a job of a cluster: `seisweep stop mine` ends it\n"
    )
    assert (home / "jobs" / "mine.json").exists()


def test_a_sweep_that_was_sent_is_known_by_its_name_alone(cluster, home, capsys):
    run(["train", TOY, "--profile", "lab.toml", "--name", "mine", "--note", "first look"])
    capsys.readouterr()
    assert run(["logs", "mine"]) == 0
    assert capsys.readouterr().out == "trial 0 done\n"
    assert run(["stop", "mine"]) == 2
    assert "mine does not run: it is finished" in capsys.readouterr().err
    assert run(["resume", "mine"]) == 0
    assert command_of(cluster, "seisweep-mine-2") == "resume mine --profile lab"
    cluster.ends("seisweep-mine-2", "RUNNING")
    assert run(["resume", "mine"]) == 2
    assert "mine is running as job seisweep-mine-2: follow it with `seisweep logs mine`" in capsys.readouterr().err
    assert run(["stop", "mine"]) == 0
    assert cluster.stopped == ["seisweep-mine-2"]
    assert "go on with: seisweep resume mine" in capsys.readouterr().err
    assert run(["sweeps", "--format", "csv"]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines() if line.startswith("mine")]
    assert [(row[0], row[2]) for row in rows] == [("mine", "interrupted")]


def test_the_cluster_is_asked_for_sweeps_that_others_have_sent(cluster, capsys, home):
    run(["train", TOY, "--profile", "lab.toml", "--name", "theirs"])
    for file in (home / "jobs").iterdir():
        file.unlink()
    capsys.readouterr()
    assert run(["logs", "theirs"]) == 2
    assert "no sweep named theirs in" in capsys.readouterr().err
    assert run(["logs", "theirs", "--profile", "lab.toml"]) == 0
    assert run(["logs", "thiers", "--profile", "lab.toml"]) == 2
    assert "did you mean theirs" in capsys.readouterr().err
    assert run(["sweeps", "--format", "csv", "--profile", "lab.toml"]) == 0
    assert "theirs" in capsys.readouterr().out


def test_doctor_looks_from_a_node_and_leaves_no_job(cluster, home, capsys, monkeypatch):
    monkeypatch.setattr(doctor_checks, "examine", lambda home, profile: [])
    sent: list[str] = []
    forgotten = cluster.forget

    def looked(id: str) -> None:
        assert run(["sweeps", "--format", "csv", "--profile", "lab.toml"]) == 0  # it is not a sweep, while it runs too
        sent.append(command_of(cluster, id))
        forgotten(id)

    cluster.forget = looked  # type: ignore[method-assign]
    assert run(["doctor", "--profile", "lab.toml"]) == 0
    said = capsys.readouterr().out
    assert f"as a job of {cluster.address}:\ntrial 0 done\n" in said
    assert "doctor-" not in said
    assert (sent, cluster.jobs) == (["doctor --profile lab"], {})
    cluster.outcome = {"status": "FAILED", "driver_exit_code": 1}
    assert run(["doctor", "--profile", "lab.toml"]) == 1
    assert "as a job of" in capsys.readouterr().out
    fails = doctor_checks.Check("tracking", "fails", "the server does not answer")
    monkeypatch.setattr(doctor_checks, "examine", lambda home, profile: [fails])
    assert run(["doctor", "--profile", "lab.toml"]) == 1
    said = capsys.readouterr().out
    assert f"the nodes of {cluster.address} were not checked: first repair what fails here" in said
    assert "as a job of" not in said


def test_a_name_that_the_cluster_has_is_refused(cluster, capsys):
    run(["train", TOY, "--profile", "lab.toml", "--name", "mine"])
    assert run(["train", TOY, "--profile", "lab.toml", "--name", "mine"]) == 2
    assert "a sweep named mine exists: go on with `seisweep resume mine`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "distillation", "data.dataset=./here"], "data.dataset = ./here: .*/here is a place on this machine"),
        (["run", "distillation", "data.dataset=~/here"], "is a place on this machine"),
        (["run", "distillation", "teachers=[stead,./here]"], "is a place on this machine"),
        (["run", "distilation"], "did you mean distillation"),
        (["run", "distillation", "los.alpha=0.3"], "unknown key los.alpha"),
        (["run", "distillation", "data.dataset=ETHZ", "loss.alpha=7"], "loss.alpha = 7 is not allowed"),
        (["run", "distillation", "--sampler", "best"], "sampler"),
        (["run", "distillation", "--name", "a/b"], "a name is letters"),
        (["train", "no_such:thing"], "cannot be loaded"),
    ],
)
def test_what_can_be_known_here_is_refused_before_anything_is_sent(words, part, cluster, home, capsys):
    assert run([*words, "--profile", "lab.toml"]) == 2
    said = capsys.readouterr().err
    assert re.search(part, said), said
    assert said.count("\n") == 1
    assert cluster.jobs == {}
    assert not home.exists()


def test_a_path_that_may_be_the_clusters_is_sent_and_named(cluster, capsys, tmp_path):
    assert run(["run", "distillation", f"data.dataset={tmp_path}", "--profile", "lab.toml"]) == 0
    assert f"data.dataset = {tmp_path} exists here too" in capsys.readouterr().err
    assert run(["run", "distillation", "data.dataset=/no/such/folder", "--profile", "lab.toml"]) == 0


def test_a_store_that_is_a_file_of_this_machine_is_refused(cluster, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    assert run(["train", TOY, "--profile", "lab.toml"]) == 2
    assert "is a file of this machine: name an MLflow server" in capsys.readouterr().err


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(cluster, capsys, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job_following, "follow", interrupted)
    assert run(["train", TOY, "--profile", "lab.toml", "--name", "mine"]) == 1
    assert "`seisweep logs mine` follows it again, `seisweep stop mine` ends it" in capsys.readouterr().err
    assert cluster.stopped == []


def test_a_cluster_that_is_away_costs_the_list_of_sweeps_nothing_else(cluster, home, capsys):
    run(["train", TOY, "--profile", "lab.toml", "--name", "mine"])
    record = home / "jobs" / "mine.json"
    kept = json.loads(record.read_text())
    kept["profile"]["submit_to"] = "http://127.0.0.1:9"
    record.write_text(json.dumps(kept))
    capsys.readouterr()
    assert run(["sweeps"]) == 0
    said = capsys.readouterr()
    assert "no job server answers at http://127.0.0.1:9" in said.err
    assert "distillation" in said.out


@pytest.mark.integration
def test_another_terminal_follows_a_sweep_of_this_machine_and_stops_it(home, capsys):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "platform"), *sys.path])}
    words = ["train", TOY, "--name", "slow", "sleep_s=0.2", "training.epochs=1000"]
    program = [sys.executable, "-m", "seisweep.cli"]
    driver = subprocess.Popen([*program, *words], env=environment, stderr=subprocess.DEVNULL)
    try:
        screen = home / "sweeps" / "slow" / "screen.log"
        while not screen.exists() or "epoch 2" not in screen.read_text():
            assert driver.poll() is None
            time.sleep(0.1)
        seen = home / "seen"
        with seen.open("w") as file:
            follower = subprocess.Popen([*program, "logs", "slow"], env=environment, stdout=file)
        while "epoch 2" not in seen.read_text():  # it follows now
            assert follower.poll() is None
            time.sleep(0.1)
        assert run(["stop", "slow"]) == 0
        assert driver.wait(60) == 1
        follower.wait(60)
    finally:
        driver.send_signal(signal.SIGKILL)
    shown = seen.read_text()
    assert "trial 0 epoch 2" in shown
    assert "slow interrupted" in shown
    assert follower.returncode == 1
    assert "go on with: seisweep resume slow" in capsys.readouterr().err
    assert run(["logs", "slow"]) == 1  # of one that is over too
    assert run(["stop", "slow"]) == 2


def test_a_sweep_that_has_ended_cannot_be_stopped(home, capsys):
    (home / "sweeps" / "mine").mkdir(parents=True)
    (home / "sweeps" / "mine" / "sweep.json").write_text("{}")
    assert run(["stop", "mine"]) == 2
    assert capsys.readouterr().err == f"seisweep: mine does not run in {home}\n"
    assert run(["stop", "mina"]) == 2
    assert "did you mean mine?" in capsys.readouterr().err
