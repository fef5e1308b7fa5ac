from __future__ import annotations

import numpy as np
import pytest
import torch
from seisbench.models import EQTransformer, PhaseNet, PhaseNetLight
from torch import nn

from trainables.export.artifacts import save_seisbench
from trainables.export.cost import count_products
from trainables.export.onnx import OnnxPicker, export_onnx
from trainables.export.own import what_is_missing
from trainables.export.quantize import int8_conv_share, quantize_int8
from trainables.models.adapters import PickerAdapter, adapter_of
from trainables.models.architectures import PARTS, build, kind_of, load_picker
from trainables.models.interface import Interface
from trainables.models.own_network import build_own
from trainables.models.v5b import XiaoNetV5B
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import StudentConfig, XiaoNet
from trainables.picking import PickingConfig

SHORT = {"in_samples": 768, "lstm_blocks": 1}
"""An EQTransformer that is exported in seconds."""


def fresh(architecture: str, **arguments) -> PickerAdapter:
    return build(architecture, arguments, StudentConfig(base_channels=2))


def test_an_unknown_architecture_is_said_in_one_line(tiny):
    for name, hint in {"eqtransfomer": "did you mean eqtransformer?", "unet": "your own is module:Class"}.items():
        with pytest.raises(
            ValueError, match=rf"{name} is none of phasenet, phasenetlight, eqtransformer, xiaonetv5b, xiaonet; {hint}"
        ):
            PickingConfig.model_validate({"data": tiny["data"], "model": {"architecture": name}})


@pytest.mark.parametrize(
    ("architecture", "arguments", "problem"),
    [
        ("phasenet", {"filter_factor": 2}, "phasenet has no argument filter_factor here: it takes none"),
        (
            "eqtransformer",
            {"norm": "peak"},
            "eqtransformer has no argument norm here: it takes in_samples, lstm_blocks",
        ),
        ("xiaonet", {"width": 2}, r"it takes none; its size is student\.base_channels"),
    ],
)
def test_arguments_that_a_network_does_not_take_are_refused(architecture, arguments, problem):
    with pytest.raises(ValueError, match=problem):
        build(architecture, arguments, StudentConfig())


def test_weights_and_arguments_are_not_given_together(teacher_file):
    with pytest.raises(ValueError, match=r"model\.pretrained brings its own architecture: leave model\.arguments out"):
        build("eqtransformer", SHORT, StudentConfig(), str(teacher_file))


@pytest.mark.parametrize("architecture", ["phasenet", "phasenetlight", "eqtransformer", "xiaonetv5b", "xiaonet"])
def test_a_saved_network_says_itself_which_it_is(architecture, tmp_path):
    picker = fresh(architecture)
    stem = save_seisbench(picker, tmp_path, {"P": 0.3, "S": 0.2}, "a test")
    assert kind_of(str(stem)) == architecture
    again = load_picker(str(stem))
    network = picker.network if isinstance(picker, PickerAdapter) else picker
    assert weights_digest(again.network) == weights_digest(network)
    assert again.interface == picker.interface


@pytest.mark.parametrize("architecture", list(PARTS))
def test_every_part_that_a_freezing_schedule_knows_is_there(architecture):
    picker = fresh(architecture)
    for names in PARTS[architecture].values():
        assert all(sum(p.numel() for p in picker.get_submodule(name).parameters()) > 0 for name in names)


@pytest.mark.parametrize(
    ("build_it", "num_samples"),
    [
        (lambda: fresh("phasenetlight"), 3001),
        (lambda: fresh("xiaonetv5b"), 3001),
        (lambda: fresh("eqtransformer", **SHORT), 768),
        (lambda: build_own("own_networks:Small", {}), 512),
        (lambda: build_own("own_networks:Curves", {}), 512),
    ],
)
def test_onnx_answers_as_pytorch_and_int8_is_made_of_it(build_it, num_samples, tmp_path):
    torch.manual_seed(0)
    picker = build_it().eval()
    export_onnx(picker, tmp_path / "fp32.onnx", {"P": 0.3, "S": 0.2})
    onnx = OnnxPicker(tmp_path / "fp32.onnx")
    assert onnx.window_samples == num_samples
    assert {key: onnx.metadata[key] for key in picker.interface.metadata()} == picker.interface.metadata()
    window_BXT = torch.randn(5, 3, num_samples)
    with torch.no_grad():
        expected_BCT = picker.interface.probabilities(picker.core(window_BXT)).numpy()
    np.testing.assert_allclose(onnx(window_BXT.numpy()), expected_BCT, atol=1e-4)
    quantize_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", window_BXT.numpy())
    assert int8_conv_share(tmp_path / "int8.onnx") >= 0.5
    assert np.abs(OnnxPicker(tmp_path / "int8.onnx")(window_BXT.numpy()) - expected_BCT).max() < 0.2


def test_what_of_a_network_cannot_be_exported_is_said(capfd):
    assert what_is_missing(build_own("own_networks:Small", {})) == ""
    assert what_is_missing(build_own("own_networks:NoConvolution", {})) == (
        "there is no INT8 file of it (it has no convolution, and convolutions are what is quantized): trials leave FP32"
    )
    missing = what_is_missing(build_own("own_networks:Branching", {}))
    assert missing.startswith("it cannot be written as ONNX (GuardOnDataDependentSymNode: Could not guard on data-dep")
    assert "\n" not in missing
    assert capfd.readouterr().err == ""


def test_multiplications_of_networks_counted_by_hand():
    assert count_products(build_own("own_networks:Small", {"width": 4})) == 512 * 7 * (3 * 4 + 4 * 4 + 4 * 3)
    assert count_products(build_own("own_networks:NoConvolution", {})) == 128 * 3 * 3
    lstm = nn.LSTM(3, 4)
    by_hand = 10 * 4 * 4 * (3 + 4)
    assert _products_of_lstm(lstm) == by_hand


def _products_of_lstm(lstm: nn.LSTM) -> int:
    class Recurrent(PickerAdapter):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.interface = lstm, Interface(window_samples=10)

        def core(self, prepared_BXT):
            return self.lstm(prepared_BXT.permute(2, 0, 1))[0]

    return count_products(Recurrent())


@pytest.mark.parametrize(
    "model", [PhaseNet(), PhaseNetLight(), EQTransformer(), XiaoNet(base_channels=2), XiaoNetV5B()]
)
def test_an_adapter_answers_with_p_and_s_first(model):
    adapter = adapter_of(model.eval())
    raw_BXT = torch.randn(1, 3, model.in_samples) * 100
    with torch.no_grad():
        given_BCT = adapter.interface.probabilities(adapter(raw_BXT))
        order = ["ENZ".index(component) for component in model.component_order]
        answer = model(model.annotate_batch_pre(raw_BXT[:, order], {}))
    expected = dict(zip(map(str, model.labels), answer if isinstance(answer, tuple) else answer[0], strict=True))
    for row, phase in enumerate("PS"):
        torch.testing.assert_close(given_BCT[0, row], expected[phase].reshape(-1))
