"""`seisweep doctor` on a cluster: what each of its nodes is, and what would fail there."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from seisweep.commands.doctor_checks import Check
from seisweep.engine.cluster import check_answer, connected
from seisweep.engine.preflight import Question, Verdict, check_all, nodes_alive
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile


def examine_nodes(profile: Profile, home: Home) -> tuple[list[Check], list[dict[str, Any]]]:
    """One check for the cluster and one for each node that would fail; a table of all nodes. Starts nothing."""
    assert profile.ray_address is not None
    try:
        check_answer(profile.ray_address, profile)
        with connected(profile) as dashboard:
            nodes = nodes_alive()
            verdicts = check_all(Question.of_profile(profile, home), nodes, _say)
    except ValueError as error:
        return [Check("ray cluster", "fails", str(error))], []
    total = {key: sum(node.resources.get(key, 0) for node in nodes) for key in ("CPU", "GPU")}
    about = f"{len(nodes)} nodes, {total['CPU']:g} CPUs, {total['GPU']:g} GPUs"
    about += f"; its dashboard: {dashboard}" if dashboard else ""
    bad = [Check("node", "fails", f"{verdict.node}: {verdict.reason}") for verdict in verdicts if verdict.reason]
    return [Check("ray cluster", "ok", about), *bad], [_row(verdict) for verdict in verdicts]


def examine_by_job(profile: Profile, show: Callable[[str], None]) -> int:
    """The exit code of `seisweep doctor` on the cluster that a profile sends jobs to; `show` gets its lines. Nothing of
    it stays there. Raises ValueError where the cluster takes no job."""
    from seisweep.engine.job import DOCTOR
    from seisweep.engine.job_following import follow
    from seisweep.engine.jobs import Server

    server = Server(profile)
    job = server.submit(f"{DOCTOR}-{uuid.uuid4().hex[:8]}", [DOCTOR, "--profile", profile.name], kind=DOCTOR)
    try:
        job = follow(server, job, show, _say)
    except BaseException:
        with suppress(ValueError):
            server.stop(job)
        raise
    server.forget(job)
    return job.exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _row(verdict: Verdict) -> dict[str, Any]:
    """A node in a line; a dash where nothing was asked or nothing is known."""
    answer, problems, resources = verdict.answer, verdict.problems, verdict.node.resources

    def state(what: str) -> str:
        return "-" if "facts" not in answer else "fails" if what in problems else "ok"

    def known(key: str) -> str:
        return str(answer.get(key) or "-")

    return {
        "node": str(verdict.node),
        "CPUs": f"{resources.get('CPU', 0):g}",
        "Python": known("python"),
        "seisweep": known("seisweep"),
        "torch": known("torch"),
        "CUDA": known("cuda"),
        "GPUs": f"{answer['gpus']} of {resources.get('GPU', 0):g}" if "gpus" in answer else "-",
        "data": "-",  # no sweep is meant, and a profile names none
        "storage": state("storage"),
        "clock": "-" if verdict.clock_s is None else f"{verdict.clock_s:+.1f} s",
        "token": "-" if "token" not in answer else "yes" if answer["token"] else "none: open to all who reach it",
    }
