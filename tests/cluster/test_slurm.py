"""docker/slurm/sweep.sbatch on two machines: told to end in the middle, submitted again, merged: whole.

SLURM is a stand-in: `srun` on the first node says what is to run, and this test runs it on both.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cluster.cluster import QUICK, Cluster, restart
from cluster.commands import REPOSITORY, Command, wait_until
from cluster.machines import SHARED, Machine
from cluster.services import TRACKING_LOGIN
from cluster.whole import checkpoints, epochs_computed, whole_record

pytestmark = [pytest.mark.integration, pytest.mark.cluster_long]
SCRIPT = REPOSITORY / "docker" / "slurm" / "sweep.sbatch"
EPOCHS, SAMPLES = 30, 4
SRUN = """#!/bin/bash
while [[ "$1" != ray ]]; do shift; done
env -0 >"$STEP/environment"
printf '%s\\0' "$@" >"$STEP/words.tmp"
mv "$STEP/words.tmp" "$STEP/words"
until [[ -e "$STEP/code" ]]; do sleep 0.1; done
exit "$(<"$STEP/code")"
"""
SCONTROL = """#!/bin/bash
case "$1" in
show) printf 'head\\nw1\\n' ;;
requeue) touch "$STEP/requeued" ;;
esac
"""


class Slurm:
    """Two nodes without Ray, and jobs on them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.home = cluster, cluster.new_folder()
        self.nodes: tuple[Machine, ...] = (cluster.head, cluster.w1)
        for machine in cluster.nodes:
            restart(machine)
            machine.disturbed = True
        self.bin = Path(cluster.new_folder("slurm"))
        cluster.head.path(self.bin).mkdir()
        for name, body in (("srun", SRUN), ("scontrol", SCONTROL)):
            file = cluster.head.path(self.bin / name)
            file.write_text(body)
            file.chmod(0o755)

    def submit(self, *words: str) -> tuple[Command, Path]:
        """The script under way on the first node, and the folder of its step, as this machine sees it."""
        step = Path(self.cluster.new_folder("step"))
        self.cluster.head.path(step).mkdir()
        env = {
            **QUICK,
            "STEP": str(step),
            "SEISWEEP_HOME": self.home,
            "SEISWEEP_PROFILE": str(SCRIPT.with_name("slurm.toml")),
            "RAY_AUTH_TOKEN_PATH": f"{SHARED}/slurm-token",
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "head,w1",
            "SLURM_JOB_NUM_NODES": "2",
            "OBJECT_STORE_BYTES": "100000000",
        }
        line = f'PATH="{self.bin}:$PATH" exec bash {SCRIPT} "$@"'
        return self.cluster.head.start("bash", "-c", line, "bash", *words, env=env), self.cluster.head.path(step)

    def begin_step(self, job: Command, step: Path) -> list[Command]:
        """What `srun` was given, begun on both nodes."""

        def there() -> bool:
            assert job.code is None, job
            return (step / "words").exists()

        wait_until(there, 60, lambda: f"no step: {job}")
        words = (step / "words").read_text().split("\0")[:-1]
        env = dict(line.split("=", 1) for line in (step / "environment").read_text().split("\0")[:-1])
        return [node.start(*words, env=env) for node in self.nodes]

    def end_step(self, commands: list[Command], step: Path, limit_s: float) -> None:
        """When it has ended on all nodes, `srun` has its exit code."""
        codes = [command.wait(limit_s) for command in commands]
        (step / "code.tmp").write_text(str(max(codes)))
        (step / "code.tmp").rename(step / "code")


def test_a_sweep_goes_on_in_the_next_job_and_is_whole_on_the_server(cluster: Cluster) -> None:
    slurm, marks = Slurm(cluster), cluster.new_folder("marks")
    cluster.head.path(marks).mkdir()
    run = ["run", "cluster.sweeps:toy", f"training.epochs={EPOCHS}", "sleep_s=0.5", f"marks={marks}"]
    run += ["--samples", str(SAMPLES), "--name", "first"]

    job, step = slurm.submit(*run)
    nodes = slurm.begin_step(job, step)

    def reached(epoch: int) -> bool:
        assert job.code is None, (job, *nodes)
        found = checkpoints(cluster, slurm.home, "first")
        return len(found) == SAMPLES and min(found.values()) >= epoch

    wait_until(lambda: reached(3), 180, lambda: f"no checkpoints: {job} {nodes}")
    job.send(signal.SIGTERM)
    slurm.end_step(nodes, step, 240)
    assert job.wait(120) == 0, job
    assert (step / "requeued").exists(), job
    assert cluster.head.path(f"{SHARED}/slurm-token").stat().st_mode & 0o777 == 0o600

    job, step = slurm.submit(*run)
    nodes = slurm.begin_step(job, step)
    slurm.end_step(nodes, step, 300)
    assert job.wait(120) == 0, (job, *nodes)
    assert "first has begun in an earlier job, and goes on" in job.stderr
    merge = f"SEISWEEP_HOME={slurm.home} seisweep merge first --to"
    assert merge in job.stderr

    done = cluster.w2.run("seisweep", "merge", "first", "--to", cluster.tracking_uri, env=cluster.user(slurm.home))
    assert done.code == 0, done
    whole_record(cluster, "first", SAMPLES, EPOCHS)
    computed = epochs_computed(cluster.head.path(marks))
    assert all(epochs.count(1) == 1 for epochs in computed.values()), f"a trial began again at the start: {computed}"
    assert os.environ.keys().isdisjoint(TRACKING_LOGIN)  # nothing of this test stays in this process
