"""docker/slurm/sweep.sbatch in a real SLURM of two machines: the time is up in the middle, the job is requeued, the
sweep merged: whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cluster.cluster import QUICK, Cluster, restart
from cluster.commands import REPOSITORY, wait_until
from cluster.machines import Machine
from cluster.services import TRACKING_LOGIN
from cluster.whole import epochs_computed, whole_record

pytestmark = [pytest.mark.integration, pytest.mark.docker_long]
DOCKER = REPOSITORY / "docker" / "slurm"
EPOCHS, SAMPLES = 120, 4
"""Of a second or more each, all trials at once: longer than the job has, shorter than two."""
TIME = ["--time=4", "--signal=B:TERM@90"]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONFIGURATION = """
ClusterName=lab
SlurmctldHost=head({head})
AuthType=auth/munge
AuthInfo=cred_expire=20
SlurmUser=root
StateSaveLocation=/tmp/slurm
SlurmdSpoolDir=/tmp/slurm-spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/tmp/slurmctld.log
SlurmdLogFile=/tmp/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
NodeName=head NodeAddr={head} CPUs=2
NodeName=w1 NodeAddr={w1} CPUs=2
PartitionName=main Nodes=ALL Default=YES State=UP
"""
"""A job that is requeued waits until its credential has expired: by SLURM's own default two minutes."""


class Slurm:
    """Head and w1 without Ray, under a SLURM of their own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.folder, self.home = cluster, cluster.new_folder("jobs"), cluster.new_folder()
        self.here: Path = cluster.head.path(self.folder)
        self.here.mkdir()
        for file in ("sweep.sbatch", "slurm.toml"):
            shutil.copy(DOCKER / file, self.here)
        nodes = {node.name: node.address for node in cluster.nodes}
        (self.here / "slurm.conf").write_text(CONFIGURATION.format(**nodes))
        self.variables = {"SLURM_CONF": f"{self.folder}/slurm.conf"}
        for machine in cluster.nodes:
            restart(machine)
            machine.disturbed = True
        for machine in (cluster.head, cluster.w1):
            begin_munge(machine)
        self.call("slurmctld")
        for machine in (cluster.head, cluster.w1):
            self.call("slurmd", "-N", machine.name, on=machine)

    def call(self, *words: str, on: Machine | None = None, **variables: str) -> str:
        """What a command of SLURM says."""
        machine = on or self.cluster.head
        done = machine.run(*words, env=self.variables | variables, folder=self.folder)
        assert done.code == 0, done
        return done.stdout

    def submit(self, *words: str) -> str:
        """The number of the job."""
        variables = {
            **QUICK,
            "SEISWEEP_HOME": self.home,
            "RAY_AUTH_TOKEN_PATH": f"{self.folder}/token",
            "OBJECT_STORE_BYTES": "100000000",
        }
        return self.call("sbatch", "--nodes=2", *TIME, "sweep.sbatch", *words, **variables).split()[-1]

    def is_over(self, job: str) -> bool:
        facts = self.call("scontrol", "show", "job", job, "--oneliner").split()
        (state,) = [fact.partition("=")[2] for fact in facts if fact.startswith("JobState=")]
        return state in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")


def begin_munge(machine: Machine) -> None:
    """What SLURM's machines know each other by."""
    for place in ("/tmp/slurm", "/tmp/slurm-spool"):
        machine.path(place).mkdir()
    key = machine.path("/tmp/munge.key")
    key.write_bytes(b"k" * 64)
    key.chmod(0o400)
    options = (
        "--key-file=/tmp/munge.key --log-file=/tmp/munge.log --pid-file=/run/munge/pid --seed-file=/tmp/munge.seed"
    )
    made = machine.run("bash", "-c", f"mkdir /run/munge && munged --force {options}")
    assert made.code == 0, made


def read(log: Path) -> str:
    return log.read_text() if log.exists() else "it has written nothing"


def test_a_sweep_goes_on_when_its_job_is_requeued_and_is_whole_on_the_server(cluster: Cluster) -> None:
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        pytest.skip(f"no SLURM: {', '.join(missing)} not installed (Debian: slurm-wlm)")
    slurm, marks = Slurm(cluster), cluster.new_folder("marks")
    cluster.head.path(marks).mkdir()
    settings = [f"training.epochs={EPOCHS}", "sleep_s=1", f"marks={marks}"]
    job = slurm.submit("run", "cluster.sweeps:toy", *settings, "--samples", str(SAMPLES), "--name", "first")
    log = slurm.here / f"seisweep-{job}.log"
    wait_until(lambda: slurm.is_over(job), 900, lambda: f"the job does not end: {read(log)[-6000:]}")

    said = read(log)
    assert "told to end: first ends, and goes on when the job runs again" in said, said
    assert "first has begun in an earlier job, and goes on" in said, said
    assert f"SEISWEEP_HOME={slurm.home} seisweep merge first --to" in said, said
    assert (slurm.here / "token").stat().st_mode & 0o777 == 0o600

    done = cluster.w2.run("seisweep", "merge", "first", "--to", cluster.tracking_uri, env=cluster.user(slurm.home))
    assert done.code == 0, done
    whole_record(cluster, "first", SAMPLES, EPOCHS)
    computed = epochs_computed(cluster.head.path(marks))
    assert all(epochs.count(1) == 1 for epochs in computed.values()), f"a trial began again at the start: {computed}"
    assert os.environ.keys().isdisjoint(TRACKING_LOGIN)  # nothing of this test stays in this process
