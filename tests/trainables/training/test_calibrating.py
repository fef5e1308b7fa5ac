"""A picker whose S probabilities stay below 0.3, as after learning from a softened teacher."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from trainables.data.batches import Batch, DevWindows
from trainables.data.config import DataConfig
from trainables.data.windows import open_store
from trainables.distillation import DistillationConfig, train
from trainables.evaluation.picks import PickConfig
from trainables.export.onnx import OnnxPicker
from trainables.models.xiaonet import XiaoNet
from trainables.picking import PickingConfig, preflight
from trainables.run import LocalRun, read_tags
from trainables.training.calibrating import calibrate


@pytest.fixture
def dev(tiny) -> DevWindows:
    config = DataConfig.model_validate(tiny["data"] | {"dev_windows_per_trace": 20})
    return DevWindows(open_store(config, "dev"), config)


def collapsed() -> XiaoNet:
    """Its last convolution hands on the first three of what it is given."""
    model = XiaoNet(base_channels=4)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
        model.head.weight[[0, 1, 2], [0, 1, 2], 1] = 1
    return model


def logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Peaks at most arrivals, lower ones at half of them where there is nothing; S never above 0.25."""
    generator = torch.Generator().manual_seed(0)
    heights = torch.rand(2, len(batch.labels_BCT), 2, 1, generator=generator)
    true_BCT = batch.labels_BCT[:, :2] * (0.6 + 0.4 * heights[0])
    false_BCT = batch.labels_BCT[:, :2].roll(900, dims=-1) * 0.75 * heights[1]
    bump_BCT = torch.maximum(true_BCT, false_BCT)
    features_BCT = torch.zeros(len(bump_BCT), 4, bump_BCT.shape[-1])
    features_BCT[:, 0] = 10 * bump_BCT[:, 0] - 6
    features_BCT[:, 1] = 5 * bump_BCT[:, 1] - 6.2
    return model.head(features_BCT.unsqueeze(2)).squeeze(2)


def test_a_collapsed_phase_is_found_at_a_fixed_threshold(dev):
    found = calibrate(model := collapsed(), logits, dev, PickConfig(), 16)
    scores = found.metrics
    assert scores["uncalibrated/s_f1"] > 0.6
    assert scores["uncalibrated/s_f1_at_0.3"] == 0
    assert scores["dev/s_f1_at_0.3"] > scores["dev/s_f1"] - 0.05
    assert scores["dev/f1"] > scores["uncalibrated/f1"] - 0.005, "the same peaks in the same order, further apart"
    for phase in "ps":
        assert scores[f"dev/{phase}_calibration_error"] < scores[f"uncalibrated/{phase}_calibration_error"]
    assert scores["dev/s_calibration_error"] < 0.3 * scores["uncalibrated/s_calibration_error"]
    assert found.thresholds["S"] == scores["dev/s_threshold"] > scores["uncalibrated/s_threshold"]
    assert scores["calibration/s_shift"] > 1
    assert f"S: scale {scores['calibration/s_scale']:.3g}" in found.words
    assert model.head.bias.abs().max() == 0, "the model itself is left as it is"
    assert found.model.head.bias[1] != 0


def test_a_training_exports_the_calibrated_weights_with_their_thresholds(tiny, tmp_path):
    settings = tiny | {"export": {"calibrate": True, "calibration_windows": 8}}
    plain = tiny | {"export": {"calibration_windows": 8}}
    runs, losses = {}, {}
    for name, its in (("calibrated", settings), ("plain", plain)):
        (tmp_path / name).mkdir()
        train(DistillationConfig.model_validate(its), run := LocalRun(tmp_path / name))
        runs[name] = run.reports[-1], tmp_path / name / "checkpoint"
        losses[name] = [report["train/loss"] for report in run.reports[:-1]]
    (report, folder), (without, folder_without) = runs["calibrated"], runs["plain"]
    assert losses["calibrated"] == losses["plain"]
    assert report["uncalibrated/f1"] == without["dev/f1"]
    assert "uncalibrated/f1" not in without
    assert "calibration" in read_tags(folder)
    assert "calibration" not in read_tags(folder_without)
    picker = OnnxPicker(folder / "artifacts" / "model_fp32.onnx")
    assert float(picker.metadata["S_threshold"]) == report["dev/s_threshold"]
    again = XiaoNet.load(folder / "artifacts" / "xiaonet", version_str="1").eval()
    assert again.default_args["P_threshold"] == report["dev/p_threshold"]
    x_BXT = np.random.default_rng(0).uniform(-1, 1, (2, 3, 3001)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(again(torch.from_numpy(x_BXT)).numpy(), picker(x_BXT), atol=1e-4)
    pickers = pd.read_csv(folder / "artifacts" / "reliability.csv")["picker"].unique()
    assert pickers.tolist() == ["before calibration", "FP32", "INT8"]
    assert (folder / "artifacts" / "reliability.png").exists()
    kept, kept_without = (torch.load(its / "state.pt", weights_only=True) for its in (folder, folder_without))
    for name, weights in kept_without["best_weights"].items():
        assert torch.equal(weights, kept["best_weights"][name]), "training would go on from the weights as trained"


def test_a_network_that_cannot_be_calibrated_is_refused_before_training(tiny):
    tiny.pop("teacher")
    model = {"architecture": "eqtransformer", "arguments": {"in_samples": 768, "lstm_blocks": 1}}
    config = PickingConfig.model_validate(tiny | {"model": model, "export": {"calibrate": True}})
    with pytest.raises(ValueError, match=r"^export\.calibrate=true: model\.architecture has to be xiaonet"):
        preflight(config)
