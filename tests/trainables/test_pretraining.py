from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import obspy
import pytest

from trainables import pretraining
from trainables.models.pretrained import WEIGHTS
from trainables.pretraining import PretrainingConfig
from trainables.run import ARTIFACTS, LocalRun

TINY = {"d_model": 8, "n_layers": 1, "num_heads": 2, "conv_width": 8, "conv_layers": 4, "qkv_proj_blocksize": 2}


def config_of(data: dict, cache: Path) -> PretrainingConfig:
    return PretrainingConfig.model_validate(
        {
            "data": {"window_samples": 2048, "cache_dir": cache, **data},
            "model": TINY,
            "contrast": {"groups": 2, "codes": 16, "code_width": 16, "negatives": 10, "mask_length": 4},
            "training": {"epochs": 1, "batch_size": 4, "limit_train_batches": 2, "limit_dev_batches": 1},
        }
    )


@pytest.fixture(scope="module")
def streams(tmp_path_factory) -> Path:
    """Forty minutes of one station."""
    folder = tmp_path_factory.mktemp("streams")
    rng = np.random.default_rng(0)
    for component in "ENZ":
        header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "sampling_rate": 100.0}
        counts_T = rng.normal(scale=1000, size=240_000).astype(np.int32)
        obspy.Trace(counts_T, header).write(str(folder / f"{component}.mseed"), format="MSEED")
    return folder


def test_an_encoder_comes_of_streams_alone(streams, tmp_path):
    config = config_of({"streams": str(streams)}, tmp_path)
    facts = pretraining.preflight(config)
    assert facts["dataset"] == str(streams)
    run = LocalRun(tmp_path / "run")
    pretraining.train(config, run)
    assert all(math.isfinite(value) for report in run.reports for value in report.values())
    assert run.reports[-1]["dev/accuracy"] > 0
    assert (run.checkpoint / ARTIFACTS / WEIGHTS).is_file()
