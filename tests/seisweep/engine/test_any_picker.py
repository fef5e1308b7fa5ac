"""Any network from training to picks, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import obspy
import pytest
from seisweep import load
from seisweep.cli import run

from trainables import metrics

pytestmark = pytest.mark.integration

NETWORKS = {
    "phasenetlight": ["model.architecture=phasenetlight"],
    "eqtransformer": ["model.architecture=eqtransformer", "model.arguments.in_samples=1500"],
    "own": ["model.architecture=own_networks:Small", "model.arguments.width=4"],
}


@pytest.fixture
def waveforms(tmp_path: Path) -> Path:
    """A minute of noise that drifts, which an untrained network takes for something now and then."""
    rng = np.random.default_rng(0)
    header = {"network": "XX", "station": "ABC", "sampling_rate": 100, "starttime": obspy.UTCDateTime(2024, 1, 1)}
    stream = obspy.Stream(
        obspy.Trace(rng.normal(size=7_000).cumsum().astype(np.float32), {**header, "channel": f"HH{component}"})
        for component in "ENZ"
    )
    stream.write(str(tmp_path / "a.mseed"), format="MSEED")
    return tmp_path / "a.mseed"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_goes_from_training_to_picks(local_ray, name, earthquakes, waveforms, home, capsys):
    small = ["training.epochs=1", "training.steps_per_epoch=2", "training.batch_size=4", "export.max_f1_loss=1"]
    data = [f"data.dataset={earthquakes}", "data.dev_windows_per_trace=1", "export.calibration_windows=8"]
    assert run(["train", "picking", *data, *small, *NETWORKS[name]]) == 0
    trial = load("picking-1").trials.iloc[0]
    assert {metrics.INT8_BYTES, metrics.FP32_F1, metrics.MACS} <= set(trial.index)
    capsys.readouterr()
    assert run(["evaluate", "picking-1", "--format", "json"]) == 0
    models = {row["model"] for row in json.loads(capsys.readouterr().out)}
    assert "model_fp32.onnx" in models
    options = ["--p-threshold", "0.01", "--s-threshold", "0.01"]
    assert run(["pick", "picking-1/0", str(waveforms), "--precision", "fp32", *options]) == 0
    assert capsys.readouterr().out.startswith("network,station,location,phase,time,probability")
