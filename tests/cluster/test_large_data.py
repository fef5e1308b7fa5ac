"""Data by address on a cluster: each node fetches and builds, and a worker holds none of it in its own memory."""

from __future__ import annotations

from pathlib import Path

import boto3
import h5py
import numpy as np
import pandas as pd
import pytest
from seisweep import load

from cluster.cluster import Cluster
from cluster.services import BUCKET, S3_ENDPOINT, S3_KEYS
from trainables.data.catalog import fingerprint

pytestmark = [pytest.mark.integration, pytest.mark.cluster_long]

TRACES, SAMPLES = 900, 150_000
"""Their windows are 1.6 GB: picks at both ends of a trace, so that all of it is needed."""
LIMIT_GB = 0.7


def test_data_in_s3_twice_as_large_as_the_memory_of_a_worker_train(
    cluster: Cluster, teacher_file: Path, tmp_path: Path
) -> None:
    data, home, name = long_traces(tmp_path / "long"), cluster.new_folder(), "large-data"
    with cluster.from_laptop():
        client = boto3.client(
            "s3",
            endpoint_url=S3_ENDPOINT,
            aws_access_key_id=S3_KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=S3_KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=S3_KEYS["AWS_DEFAULT_REGION"],
        )
        for file in (*data.iterdir(), *teacher_file.parent.iterdir()):
            client.upload_file(str(file), BUCKET, f"large/{file.name}")
    uri = f"{cluster.bucket_uri}/large"
    settings = [
        f"data.dataset={uri}",
        "data.dev_windows_per_trace=1",
        f"teacher.weights={uri}/{teacher_file.name}",
        *("student.base_channels=4", "student.pooling=4", "export.enabled=false"),
        *("training.epochs=1", "training.steps_per_epoch=50", "training.batch_size=8"),
    ]
    profile = cluster.profile(storage_path=f"{cluster.bucket_uri}/sweeps", storage_endpoint=cluster.s3_endpoint)
    options = ["--name", name, "--memory", str(LIMIT_GB), "--profile", profile]
    done = cluster.head.run("seisweep", "train", "distillation", *options, *settings, env=cluster.user(home))
    assert done.code == 0, done
    with cluster.from_laptop():
        tags = load(name, cluster.tracking_uri).tags(0)
    assert (tags["dataset"], tags["teacher"]) == (uri, f"{uri}/{teacher_file.name}"), "the record names the addresses"
    assert tags["data_fingerprint"] == fingerprint(str(data))
    stores = cluster.head.path(f"{home}/cache").glob("*/samples.bin")
    assert sum(file.stat().st_size for file in stores) > 2 * LIMIT_GB * 2**30


def long_traces(folder: Path) -> Path:
    """A data set in SeisBench's format that is small where it is packed: ramps."""
    folder.mkdir()
    ramp_T = np.arange(SAMPLES, dtype=np.float32) % 997
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        for number in range(TRACES):
            file.create_dataset(f"data/trace{number}", data=np.stack([ramp_T] * 3), compression="gzip")
        file["data_format/dimension_order"] = "CW"
    number = np.arange(TRACES)
    pd.DataFrame(
        {
            "trace_name": [f"trace{n}" for n in number],
            "trace_component_order": "ENZ",
            "trace_sampling_rate_hz": 100.0,
            "split": np.where(number % 10, "train", "dev"),
            "trace_P_arrival_sample": 3000,
            "trace_S_arrival_sample": SAMPLES - 3000,
        }
    ).to_csv(folder / "metadata.csv", index=False)
    return folder
