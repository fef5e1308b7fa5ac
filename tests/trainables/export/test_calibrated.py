from __future__ import annotations

import numpy as np
import pytest
import torch
from lifelike import picker, windows
from pydantic import ValidationError
from seisbench.models import PhaseNet, PhaseNetLight

from trainables.evaluation.calibration import Calibration
from trainables.export.calibrated import calibrated, check_calibratable
from trainables.export.gate import ExportConfig
from trainables.export.onnx import OnnxPicker, export_onnx
from trainables.models.adapters import PhaseNetAdapter

CALIBRATION = Calibration({"P": 1.7, "S": 2.5}, {"P": -0.4, "S": 1.1})


def after(logits_BCT: torch.Tensor) -> np.ndarray:
    return np.moveaxis(CALIBRATION(np.moveaxis(logits_BCT.numpy(), 1, 2)), 2, 1)


@pytest.mark.parametrize("pooling", [2, 4])
@torch.no_grad()
def test_a_students_last_convolution_takes_the_map_exactly_and_so_does_its_file(tmp_path, pooling):
    model, x_BXT = picker(pooling=pooling), torch.from_numpy(windows(3))
    before_BCT = model(x_BXT, logits=True)
    copied = calibrated(model, CALIBRATION)
    np.testing.assert_allclose(copied(x_BXT, logits=True).numpy(), after(before_BCT), atol=1e-4)
    torch.testing.assert_close(model(x_BXT, logits=True), before_BCT, rtol=0, atol=0)
    export_onnx(copied, tmp_path / "fp32.onnx")
    answers = OnnxPicker(tmp_path / "fp32.onnx")(x_BXT.numpy())
    np.testing.assert_allclose(answers, torch.from_numpy(after(before_BCT)).softmax(dim=1).numpy(), atol=1e-4)


@pytest.mark.parametrize("kind", [PhaseNet, PhaseNetLight])
@torch.no_grad()
def test_networks_of_other_orders_take_it_too(kind):
    torch.manual_seed(0)
    adapter = PhaseNetAdapter(kind(phases="NSP", component_order="ZNE", norm="std")).eval()
    raw_BXT = torch.from_numpy(windows(2))
    before_BCT = adapter(raw_BXT)
    np.testing.assert_allclose(calibrated(adapter, CALIBRATION)(raw_BXT).numpy(), after(before_BCT), atol=1e-4)


def test_what_has_no_such_layer_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^export\.calibrate=true: model\.architecture has to be xiaonet, phasenet or"
    ):
        check_calibratable(torch.nn.Identity(), "model")


def test_what_is_not_exported_is_not_calibrated():
    with pytest.raises(ValidationError, match="calibrate=true with enabled=false"):
        ExportConfig(calibrate=True, enabled=False)
