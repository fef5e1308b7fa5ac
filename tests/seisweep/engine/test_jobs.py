"""Jobs of a cluster as they are submitted, found again and judged, against a job server that runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_job_server import FakeJobServer, serving
from seisweep.engine import job_following, jobs
from seisweep.engine.job import Job
from seisweep.engine.job_following import follow
from seisweep.engine.jobs import JobExistsError, Server, check
from seisweep.settings import in_a_job
from seisweep.settings.profile import OF_THE_JOB, Profile

FIRST, SECOND = "seisweep-toy-1-1", "seisweep-toy-1-2"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeJobServer]:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(job_following, "LOOK_EVERY_S", 0.0)
    with serving(FakeJobServer()) as fake:
        yield fake


def profile_for(fake: FakeJobServer, **fields: Any) -> Profile:
    return Profile(name="lab", submit_to=fake.address, job_home="/shared/seisweep/home", **fields)


def submitted(fake: FakeJobServer, **fields: Any) -> tuple[Server, Job]:
    server = Server(profile_for(fake, **fields))
    return server, server.submit("toy-1", ["run", "toy", "--name", "toy-1"], kind="toy", note="first look")


def followed(server: Server, job: Job, at_each_look: Any) -> tuple[Job, list[str], list[str]]:
    """Follow a job whose fate `at_each_look` decides, called with the job before each look."""
    shown: list[str] = []
    said: list[str] = []
    look = server.look

    def looked(job: Job) -> Job:
        at_each_look(job)
        return look(job)

    server.look = looked  # type: ignore[method-assign]
    return follow(server, job, shown.append, said.append), shown, said


def test_a_job_gets_command_profile_variables_and_home(cluster, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.delenv("NOT_SET", raising=False)
    submitted(cluster, carry=("MLFLOW_TRACKING_PASSWORD", "NOT_SET"), gpus_per_worker=0.5, tracking_deadline_s=10)
    sent = cluster.jobs[FIRST]
    assert sent["entrypoint"].endswith("exec python -m seisweep.cli run toy --name toy-1")
    assert "[ -d /shared/seisweep ]" in sent["entrypoint"]
    variables = sent["runtime_env"]["env_vars"]
    assert variables["SEISWEEP_HOME"] == "/shared/seisweep/home"
    assert variables["MLFLOW_TRACKING_PASSWORD"] == "secret"
    assert "NOT_SET" not in variables
    assert in_a_job.AGAIN not in variables
    assert variables["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
    assert int(variables["RAY_JOB_STOP_WAIT_TIME_S"]) > 60
    there = Profile.model_validate(json.loads(variables[OF_THE_JOB]))
    assert (there.name, there.gpus_per_worker, there.submit_to, there.ray_address) == ("lab", 0.5, None, "auto")


def test_a_driver_takes_no_cpu_and_runs_on_any_node(cluster):
    submitted(cluster)
    sent = cluster.jobs[FIRST]
    assert not sent.get("entrypoint_num_cpus")
    assert not sent.get("entrypoint_num_gpus")
    assert sent["entrypoint_label_selector"] == {"ray.io/node-id": "!none"}


def test_jobs_are_found_again_by_their_sweep(cluster):
    server, job = submitted(cluster)
    cluster.jobs["raysubmit_x"] = {"type": "SUBMISSION", "submission_id": "raysubmit_x", "status": "RUNNING"} | {
        "entrypoint": "python other.py"
    }
    cluster.ends(FIRST, "FAILED", 1)
    server.submit("toy-1", ["resume", "toy-1"])
    server.submit("toy-2", ["run", "toy"])
    found = server.latest("toy-1")
    assert [one.id for one in server.jobs()] == [FIRST, SECOND, "seisweep-toy-2-1"]
    assert (found.id, found.state, found.kind) == (SECOND, "pending", "")
    assert server.look(job).note == "first look"


def test_two_users_who_submit_the_same_sweep_at_once_get_one_job(cluster, monkeypatch):
    server, _ = submitted(cluster)
    monkeypatch.setattr(server, "jobs", lambda sweep=None: [])  # both have looked before either submitted
    with pytest.raises(JobExistsError, match="toy-1 has just been submitted by somebody else"):
        server.submit("toy-1", ["run", "toy"])


@pytest.mark.parametrize(
    ("status", "code", "error", "state", "exit_code", "died"),
    [
        ("SUCCEEDED", 0, None, "finished", 0, False),
        ("FAILED", 1, "JOB_ENTRYPOINT_COMMAND_ERROR", "failed", 1, False),
        ("FAILED", 2, "JOB_ENTRYPOINT_COMMAND_ERROR", "failed", 2, False),
        ("FAILED", 3, "JOB_ENTRYPOINT_COMMAND_ERROR", "finished", 3, False),
        ("FAILED", -9, "JOB_ENTRYPOINT_COMMAND_ERROR", "interrupted", 1, True),
        ("FAILED", 137, "JOB_ENTRYPOINT_COMMAND_ERROR", "interrupted", 1, True),
        ("FAILED", None, "JOB_SUPERVISOR_ACTOR_DIED", "interrupted", 1, True),
        ("FAILED", None, "RUNTIME_ENV_SETUP_FAILURE", "failed", 2, False),
        ("STOPPED", None, None, "interrupted", 1, False),
        ("RUNNING", None, None, "running", 1, False),
    ],
)
def test_how_a_job_ended_is_told_from_how_its_sweep_did(status, code, error, state, exit_code, died):
    job = Job(FIRST, "toy-1", status, "python", driver_exit_code=code, error=error or "")
    assert (job.state, job.exit_code, job.has_died) == (state, exit_code, died)


def test_the_log_is_shown_once_line_by_line_without_what_ray_says(cluster):
    server, job = submitted(cluster)
    rays_own = "2026-11-29 INFO job_manager.py:1 -- Runtime env is setting up.\nRunning entrypoint for job x: y\n"
    texts = iter([rays_own + "tri", rays_own + "trial 0\nb"])

    def fate(job: Job) -> None:
        cluster.logs[FIRST] = next(texts, cluster.logs.get(FIRST, ""))
        if cluster.logs[FIRST].endswith("b"):
            cluster.ends(FIRST, "SUCCEEDED", 0)

    last, shown, said = followed(server, job, fate)
    assert (shown, said, last.exit_code) == (["trial 0", "b"], [], 0)


def test_a_job_that_died_with_its_node_is_submitted_again_and_goes_on(cluster):
    server, job = submitted(cluster)

    def fate(job: Job) -> None:
        if job.id == FIRST:
            message = "Job supervisor actor died: The actor died.\n\tpid: 1\nThe actor died because its node has died."
            cluster.ends(FIRST, "FAILED", None, error_type="JOB_SUPERVISOR_ACTOR_DIED", message=message)
        else:
            cluster.ends(job.id, "SUCCEEDED", 0)

    last, _, said = followed(server, job, fate)
    assert (last.id, last.exit_code) == (SECOND, 0)
    assert said == [f"the job {FIRST} has died (with its node): submitted again as {SECOND}"]
    before, after = (cluster.jobs[id]["runtime_env"]["env_vars"] for id in (FIRST, SECOND))
    assert cluster.jobs[SECOND]["entrypoint"] == cluster.jobs[FIRST]["entrypoint"]
    assert after == before | {in_a_job.AGAIN: "1"}  # the same request, which is not done twice


def test_a_cluster_whose_agent_is_not_there_yet_is_waited_for(cluster, monkeypatch):
    monkeypatch.setattr(jobs, "AGENT_ASK_EVERY_S", 0.0)
    cluster.without_agent = 2
    _, job = submitted(cluster)
    assert (job.id, list(cluster.jobs), cluster.without_agent) == (FIRST, [FIRST], 0)
    cluster.without_agent = 2
    monkeypatch.setattr(jobs, "AGENT_WAIT_S", 0.0)
    with pytest.raises(
        ValueError, match="takes no job: its head has no agent, as where another Ray on that machine has port 52365"
    ):
        submitted(cluster)


def test_a_job_of_a_cluster_that_was_started_again_goes_on_there(cluster):
    server, job = submitted(cluster)

    def fate(job: Job) -> None:
        if job.id == FIRST:
            cluster.jobs.clear()
        else:
            cluster.ends(job.id, "SUCCEEDED", 0)

    last, _, said = followed(server, job, fate)
    assert (last.id, last.exit_code) == (SECOND, 0)
    assert said == [f"the job {FIRST} has died (with its cluster): submitted again as {SECOND}"]


def test_a_job_that_dies_again_and_again_is_given_up(cluster):
    server, job = submitted(cluster, resubmit=2)
    last, _, said = followed(server, job, lambda job: cluster.ends(job.id, "FAILED", -9))
    assert (last.id, last.exit_code, len(cluster.jobs)) == ("seisweep-toy-1-3", 1, 3)
    assert said[-1] == (
        "the job seisweep-toy-1-3 has died (killed by signal 9) after being submitted again 2 times; go on with: "
        "seisweep resume toy-1"
    )


def test_a_job_that_a_user_stopped_is_not_submitted_again(cluster):
    server, job = submitted(cluster)
    server.stop(job)
    last, _, _ = followed(server, job, lambda job: None)
    assert (cluster.stopped, last.exit_code, len(cluster.jobs)) == ([FIRST], 1, 1)


def test_a_node_that_cannot_run_a_driver_is_left_out(cluster):
    server, job = submitted(cluster, resubmit=0)
    cluster.nodes = ["good", "bad"]

    def fate(job: Job) -> None:
        code, node = (jobs.NO_DRIVER_HERE, "bad") if job.id == FIRST else (0, "good")
        cluster.ends(job.id, "SUCCEEDED" if code == 0 else "FAILED", code, driver_node_id=node)

    last, _, _ = followed(server, job, fate)
    assert (last.id, last.exit_code) == (SECOND, 0)
    assert cluster.jobs[SECOND]["entrypoint_label_selector"] == {"ray.io/node-id": "!in(bad)"}


def test_where_no_node_can_run_a_driver_that_is_said_and_nothing_waits(cluster):
    server, job = submitted(cluster)
    cluster.nodes = ["bad"]
    fate = {"driver_node_id": "bad"}
    last, _, said = followed(server, job, lambda job: cluster.ends(job.id, "FAILED", jobs.NO_DRIVER_HERE, **fate))
    assert (last.exit_code, len(cluster.jobs)) == (2, 1)
    assert "found no node that can run it" in said[0]


def test_a_server_that_is_silent_for_a_while_is_waited_for(cluster):
    server, job = submitted(cluster)
    looks = []

    def fate(job: Job) -> None:
        looks.append(job)
        cluster.silent = len(looks) in (2, 3)
        if len(looks) == 4:
            cluster.ends(FIRST, "SUCCEEDED", 0)

    last, _, said = followed(server, job, fate)
    assert last.exit_code == 0
    assert len(said) == 1
    assert "does not answer" in said[0]


def test_a_log_that_cannot_be_had_from_a_lost_node_holds_nothing_up(cluster):
    """The server waits for the node for longer than anybody waits for the server."""
    server, job = submitted(cluster)
    answer, asked = cluster.answer, []

    def without_logs(method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.endswith("/logs"):
            asked.append(path)
            return 500, "Traceback\nasyncio.TimeoutError"
        return answer(method, path, body)

    cluster.answer = without_logs  # type: ignore[method-assign]
    last, shown, said = followed(server, job, lambda job: cluster.ends(FIRST, "SUCCEEDED", 0))
    assert (last.exit_code, shown, said, len(asked)) == (0, [], [], 1)


def test_a_server_that_stays_silent_is_given_up(cluster, monkeypatch):
    server, job = submitted(cluster)
    monkeypatch.setattr(job_following, "PATIENCE_S", -1.0)
    cluster.silent = True
    with pytest.raises(ValueError, match=r"the job server .* does not answer"):
        follow(server, job, print, print)


def test_a_token_that_is_missing_or_wrong_is_one_line_that_says_where_it_belongs(cluster, monkeypatch, tmp_path):
    cluster.token = "right"
    with pytest.raises(ValueError, match=r"asks for a token, and this machine has none: give .* RAY_AUTH_TOKEN, in ~/"):
        Server(profile_for(cluster))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    with pytest.raises(ValueError, match="does not take the token in RAY_AUTH_TOKEN: give"):
        Server(profile_for(cluster))
    (tmp_path / "token").write_text("right\n")
    assert Server(profile_for(cluster, token_file=str(tmp_path / "token"))).jobs() == []
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    assert Server(profile_for(cluster)).jobs() == []


def test_what_is_no_job_server_is_refused_at_once(cluster):
    cluster.answer = lambda *_: (200, "<html>")  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="is not the address of a job server of Ray"):
        Server(profile_for(cluster))
    cluster.address = "http://127.0.0.1:9"
    with pytest.raises(ValueError, match=r"no job server answers at http://127.0.0.1:9: Connection refused"):
        Server(profile_for(cluster))


def test_variables_of_ray_do_not_lead_to_another_cluster(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    assert Server(profile_for(cluster)).jobs() == []


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"submit_to": "head:8265"}, "give the job server of the cluster, http://HEAD:8265"),
        ({"submit_to": "ray://head:10001"}, "give the job server"),
        ({"job_home": None}, "needs job_home"),
        ({"job_home": "home"}, "give an absolute path"),
        ({"job_home": "/tmp/ray/session_2026-11-29_07-00-00_123_4/home"}, "lies in Ray's temporary folders"),
        ({"job_home": "/tmp/ray/home"}, "lies in Ray's temporary folders"),
        (
            {"storage_path": "checkpoints"},
            "storage_path = checkpoints of profile lab: give an absolute path of the clus",
        ),
        ({"working_dir": "/no/such/folder"}, "is not a folder here"),
        ({"token_file": "/no/such/file"}, r"token .* cannot be read: /no/such/file \(token_file of profile lab\)"),
    ],
)
def test_a_profile_that_cannot_submit_is_refused_before_anybody_is_asked(fields, part):
    whole = {"name": "lab", "submit_to": "http://head:8265", "job_home": "/shared/home"}
    with pytest.raises(ValueError, match=part) as caught:
        check(Profile.model_validate(whole | fields))
    assert "\n" not in str(caught.value)


def test_a_value_that_ray_would_change_is_refused(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a$HOME")
    profile = Profile(submit_to="http://head:8265", job_home="/shared/home", carry=("MLFLOW_TRACKING_PASSWORD",))
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_PASSWORD, which profile local carries, has a \\$"):
        check(profile)
