"""Fixtures that several rooms share."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
for name in ("MLFLOW_TRACKING_URI", "SEISWEEP_PROFILE"):  # which store a test uses is for the test to say
    os.environ.pop(name, None)
for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
    os.environ.pop(name, None)
# Keys of no real bucket, which the processes of a Ray that tests share have too.
os.environ |= {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
# How long an example takes says nothing about the code; the same examples every time. `--hypothesis-profile=explore`
# looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` one process gets all tests of `tests/cluster`: there is one cluster for them."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ClusterTogether(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/cluster" if nodeid.startswith("tests/cluster/") else str(super()._split_scope(nodeid))

    return ClusterTogether(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real records, teachers and continuous data (`SEISWEEP_SHARED_DATA`, default ../shared).

    Skips where it is absent; with `SEISWEEP_REQUIRE_SHARED_DATA=1` that is a failure.
    """
    folder = Path(os.environ.get("SEISWEEP_SHARED_DATA", REPOSITORY.parent / "shared")).resolve()
    if not (folder / "real_data").is_dir():
        message = f"no real data at {folder}: set SEISWEEP_SHARED_DATA"
        if os.environ.get("SEISWEEP_REQUIRE_SHARED_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap() -> Iterator[None]:
    """The garbage collector does not look again at what the modules before have loaded: half a second each time."""
    yield
    gc.freeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, not created yet, and a current folder without anything in it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SEISWEEP_HOME", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(_s3_server: str) -> Bucket:
    """An S3 server with one empty bucket."""
    return Bucket(_s3_server)


class Bucket:
    """An empty bucket `lab` of a server, as its owner sees it."""

    def __init__(self, endpoint: str) -> None:
        import boto3
        import requests

        self.endpoint = endpoint
        requests.post(f"{endpoint}/moto-api/reset", timeout=10)
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        self.client.create_bucket(Bucket="lab")

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="lab", Key=key, Body=content)

    def objects(self) -> list[str]:
        """The keys of all objects, without the empty ones that stand for folders."""
        listed = self.client.list_objects_v2(Bucket="lab").get("Contents", [])
        return [one["Key"] for one in listed if not one["Key"].endswith("/")]


@pytest.fixture(scope="session")
def earthquakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small synthetic data set in SeisBench's format."""
    folder = tmp_path_factory.mktemp("data") / "earthquakes"
    from trainables.data.synthetic import write_local_earthquakes

    write_local_earthquakes(folder, num_events=12, seed=0)
    return folder


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stem of a saved PhaseNet with random weights, component order Z, N, E and classes N, P, S."""
    import torch
    from seisbench.models import PhaseNet

    torch.manual_seed(0)
    stem = tmp_path_factory.mktemp("teacher") / "phasenet"
    PhaseNet(phases="NPS", component_order="ZNE", norm="std").save(stem, version_str="1")
    return stem


@pytest.fixture
def tiny(earthquakes: Path, teacher_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a distillation of three short epochs; `tiny | {...}` changes them."""
    return {
        "data": {
            "dataset": str(earthquakes),
            "dev_windows_per_trace": 2,
            "cache_dir": str(tmp_path_factory.getbasetemp() / "cache"),
        },
        "teacher": {"weights": str(teacher_file)},
        "student": {"base_channels": 4, "pooling": 4},
        "training": {"epochs": 3, "steps_per_epoch": 3, "batch_size": 8},
        "export": {"enabled": False},
    }


@pytest.fixture
def published_tables() -> dict[str, Any]:
    """Tables like the published NRCA files: 30 pre, 10 Visso and 24 post traces of 50 samples, one event each."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    tables = {}
    first_day = {"pre": "2016-08-24", "visso": "2016-10-26", "post": "2016-10-31"}
    for number, (part, count) in enumerate({"pre": 30, "visso": 10, "post": 24}.items()):
        times = pd.Timestamp(first_day[part]) + pd.to_timedelta(rng.permutation(count), unit="h")
        columns = {f"{component}_channel": [rng.normal(size=50) for _ in range(count)] for component in "ENZ"}
        columns |= {
            "trace_name": [f"NRCA.IV.HH_{number}{n:03}" for n in range(count)],
            "label": [[0, 1] if part == "post" else [1, 0]] * count,
            "trace_start_time": times.strftime("%Y-%m-%dT%H:%M:%S.%fZ").to_numpy(dtype=object),
            "source_id": 1000 * number + np.arange(count),
        }
        tables[part] = pd.DataFrame(columns).astype({"trace_name": object, "trace_start_time": object})
        tables[part].columns = tables[part].columns.astype(object)
    return tables


@pytest.fixture
def write_published() -> Callable[[Path, dict[str, Any]], Path]:
    """Writes such tables as the three files, pandas pickles under the name csv; returns their folder."""

    def write(folder: Path, tables: dict[str, Any]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part, table in tables.items():
            table.to_pickle(folder / f"dataframe_{part}_NRCA.csv", compression=None)
        return folder

    return write


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Training flushes denormal numbers in its process; other tests are about all floats."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
