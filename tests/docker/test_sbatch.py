"""sweep.sbatch: begins, ends before its time is up, is queued again and goes on; SLURM and Ray are stand-ins."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time

import pytest

SEISWEEP = r"""
folder="$SEISWEEP_HOME/sweeps/first"
case "$1" in
run | resume)
    mkdir -p "$folder"
    touch "$folder/sweep.json"
    while [[ -n "${SLOW:-}" && ! -e "$folder/stop" ]]; do sleep 0.05; done
    [[ -z "${SLOW:-}" ]] || exit 1
    exit "${CODE:-0}"
    ;;
stop) touch "$folder/stop" ;;
merge) exit "${MERGE_CODE:-0}" ;;
esac
"""
SCONTROL = """
case "$1" in
show) printf 'n1\\nn2\\n' ;;
requeue) exit "${REQUEUE_CODE:-0}" ;;
esac
"""


@pytest.fixture
def slurm(programs, docker_folder):
    """A job that SLURM has started on two nodes; further variables as a user sets them."""
    programs.write("seisweep", SEISWEEP)
    programs.write("scontrol", SCONTROL)
    programs.write("srun", 'while [[ "$1" != -- ]]; do shift; done; shift; exec "$@"')
    programs.write("ray")
    (programs.folder / "slurm.toml").touch()

    class Slurm:
        script = str(docker_folder / "slurm" / "sweep.sbatch")
        variables = {  # noqa: RUF012
            "SEISWEEP_HOME": str(programs.folder / "home"),
            "SLURM_SUBMIT_DIR": str(programs.folder),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
        }

        def run(self, *words: str, **variables: str) -> tuple[int, str]:
            return programs.run("bash", self.script, *words, **(self.variables | variables))

        def begin(self, *words: str, **variables: str) -> subprocess.Popen[str]:
            return programs.begin("bash", self.script, *words, env=self.variables | variables)

    return Slurm()


RUN = ("run", "distillation", "x=1", "--name", "first")


def called(programs, name: str) -> list[str]:
    return [call for call in programs.calls if call.startswith(f"{name} ")]


def test_a_sweep_runs_on_all_nodes_of_the_job(slurm, programs):
    code, said = slurm.run(*RUN)
    assert code == 0, said
    (step,) = called(programs, "srun")
    assert "--nodes=2 --ntasks-per-node=1" in step
    assert "ray symmetric-run --address n1:6379 --min-nodes 2" in step
    assert called(programs, "seisweep") == ["seisweep run distillation x=1 --name first"]
    assert f"SEISWEEP_HOME={programs.folder}/home seisweep merge first --to http://HOST:5000" in said
    assert slurm.run(*RUN, CODE="3")[0] == 3
    assert called(programs, "seisweep")[1:] == ["seisweep resume first"]  # the same line goes on with it


def test_the_token_is_made_once_and_for_this_user_alone(slurm, programs):
    assert slurm.run(*RUN)[0] == 0
    token = programs.folder / ".seisweep" / "ray-token"
    assert token.stat().st_mode & 0o777 == 0o600
    first = token.read_text()
    assert len(first) == 64
    assert slurm.run(*RUN)[0] == 0
    assert token.read_text() == first
    assert [file.name for file in token.parent.iterdir()] == ["ray-token"]
    token.chmod(0o644)
    code, said = slurm.run(*RUN)
    assert code == 2
    assert said == f"sweep.sbatch: {token} can be read by others: chmod 600 it, or remove it for a new one\n"


@pytest.mark.parametrize("requeue_code", ["0", "1"])
def test_before_its_time_is_up_it_ends_cleanly_is_queued_again_and_goes_on(slurm, programs, requeue_code):
    job = slurm.begin(*RUN, SLOW="yes", REQUEUE_CODE=requeue_code)
    begun = programs.folder / "home" / "sweeps" / "first" / "sweep.json"
    while not begun.exists():
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    _, said = job.communicate(timeout=30)
    assert called(programs, "seisweep")[-1] == "seisweep stop first"
    assert called(programs, "scontrol")[-1] == "scontrol requeue 7"
    assert "told to end: first ends, and goes on when the job runs again" in said
    assert job.returncode == (0 if requeue_code == "0" else 2)
    assert ("submit the same line again, and first goes on" in said) == (requeue_code == "1")
    code, said = slurm.run(*RUN)
    assert code == 0, said
    assert "first has begun in an earlier job, and goes on" in said
    assert called(programs, "seisweep")[-1] == "seisweep resume first"


def test_a_sweep_of_nodes_without_a_network_is_brought_to_the_server_or_the_line_is_said(slurm, programs):
    server = "http://mlflow:5000"
    code, said = slurm.run(*RUN, SEISWEEP_MERGE_TO=server)
    assert (code, called(programs, "seisweep")[-1]) == (0, f"seisweep merge first --to {server}")
    assert f"first is recorded in {server}" in said
    code, said = slurm.run(*RUN, SEISWEEP_MERGE_TO=server, MERGE_CODE="1")
    assert (code, f"seisweep merge first --to {server}" in said) == (0, True)
    assert "merge" not in slurm.run(*RUN, MLFLOW_TRACKING_URI=server)[1]


@pytest.mark.parametrize(
    ("words", "variables", "part"),
    [
        ((), {}, "say what to do"),
        (("results", "first"), {}, "say what to do"),
        (("run", "distillation"), {}, "give the sweep a --name"),
        (("run", "distillation", "--name"), {}, "give the sweep a --name"),
        (RUN, {"SEISWEEP_HOME": ""}, "SEISWEEP_HOME is missing"),
        (RUN, {"SEISWEEP_HOME": "/proc/home"}, "SEISWEEP_HOME=/proc/home cannot be written"),
        (RUN, {"SEISWEEP_PROFILE": "other.toml"}, "the profile other.toml is missing"),
        (RUN, {"SEISWEEP_VENV": "/nowhere"}, "SEISWEEP_VENV=/nowhere is not an environment"),
    ],
)
def test_wrong_use_is_said_before_anything_starts(slurm, programs, words, variables, part):
    code, said = slurm.run(*words, **variables)
    assert code == 2
    assert f"sweep.sbatch: {part}" in said.splitlines()[-1]
    assert programs.calls == []


def test_a_missing_program_is_named(slurm, programs):
    folder = programs.folder / "bin"
    (folder / "srun").unlink()
    (folder / "bash").symlink_to(str(shutil.which("bash")))
    code, said = slurm.run(*RUN, PATH=str(folder))  # a machine may have SLURM itself
    assert (code, said.count("\n")) == (2, 1)
    assert "srun is not found" in said
