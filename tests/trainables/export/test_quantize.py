from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from lifelike import picker, windows

from trainables.export.onnx import OnnxPicker, export_onnx
from trainables.export.quantize import int8_conv_share, quantize_int8, quantize_picker


def test_every_convolution_runs_in_int8(files):
    assert int8_conv_share(files.int8) == 1.0
    assert int8_conv_share(files.fp32) == 0.0


def test_int8_file_is_about_three_times_smaller(files):
    assert 2.8 < files.fp32.stat().st_size / files.int8.stat().st_size < 4


def test_a_byte_and_a_quarter_for_each_of_39_thousand_parameters(tmp_path):
    """Its other numbers and its graph are a quarter of a small file."""
    model = picker(base_channels=7, context="wide")
    export_onnx(model, tmp_path / "fp32.onnx", {"P": 0.3, "S": 0.25})
    quantize_picker(model, tmp_path / "fp32.onnx", tmp_path / "int8.onnx", windows(2))
    assert (tmp_path / "int8.onnx").stat().st_size <= 51_200
    onnx.checker.check_model(onnx.load(tmp_path / "int8.onnx"), full_check=True)


def test_what_follows_the_last_convolution_stays_in_float(files):
    nodes = onnx.load(files.int8).graph.node
    last = max(i for i, node in enumerate(nodes) if node.op_type == "QLinearConv")
    tail = [node.op_type for node in nodes[last + 1 :]]
    assert {"Exp", "Div"} <= set(tail)  # the softmax
    # Its own output is the last tensor in INT8: what scales softmax's input would cost S accuracy.
    assert tail[:2] == ["Reshape", "DequantizeLinear"]
    assert "QuantizeLinear" not in tail


def test_same_input_gives_the_same_bytes(files, tmp_path):
    quantize_picker(files.model, files.fp32, tmp_path / "again.onnx", windows(16))
    assert (tmp_path / "again.onnx").read_bytes() == files.int8.read_bytes()


def test_probabilities_stay_close(files):
    windows_NXT = windows(4, seed=2)
    fp32_NCT, int8_NCT = OnnxPicker(files.fp32)(windows_NXT), OnnxPicker(files.int8)(windows_NXT)
    assert np.abs(fp32_NCT - int8_NCT).mean() < 0.02
    assert not np.array_equal(fp32_NCT, int8_NCT)


def test_wide_context_runs_in_int8_too(tmp_path):
    model = picker(context="wide")
    export_onnx(model, tmp_path / "fp32.onnx")
    quantize_picker(model, tmp_path / "fp32.onnx", tmp_path / "int8.onnx", windows(16))
    assert int8_conv_share(tmp_path / "int8.onnx") == 1.0
    windows_NXT = windows(4, seed=2)
    fp32_NCT, int8_NCT = (OnnxPicker(tmp_path / f"{name}.onnx")(windows_NXT) for name in ("fp32", "int8"))
    assert np.abs(fp32_NCT - int8_NCT).mean() < 0.02


def test_metadata_is_taken_over(files):
    assert OnnxPicker(files.int8).metadata == OnnxPicker(files.fp32).metadata


def test_any_fp32_file_can_be_quantized(files, tmp_path):
    quantize_int8(files.fp32, tmp_path / "int8.onnx", windows(16))
    assert int8_conv_share(tmp_path / "int8.onnx") == 1.0
    windows_NXT = windows(4, seed=2)
    fp32_NCT, int8_NCT = (OnnxPicker(file)(windows_NXT) for file in (files.fp32, tmp_path / "int8.onnx"))
    assert np.abs(fp32_NCT - int8_NCT).mean() < 0.02


def test_nothing_that_is_slow_in_int8_runs(files, tmp_path):
    """Of what stands between the convolutions all is of 8 bits, and nothing is upsampled or moved."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(files.int8), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    first = operators.index("QLinearConv")
    last = len(operators) - operators[::-1].index("QLinearConv")
    allowed = {"QLinearConv", "NhwcMaxPool", "MaxPool", "QLinearConcat", "Concat", "Reshape"}
    if "NhwcMaxPool" not in operators:  # channels last is onnxruntime's choice on this processor
        allowed |= {"Transpose"}
    assert set(operators[first:last]) <= allowed
    assert operators.count("QLinearConv") == 15


def test_weights_are_those_of_one_sample_at_every_place_of_a_block(files):
    """Folded weights have one scale for a channel, whichever place its sample has."""
    graph = onnx.load(files.int8).graph
    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tiled = [node for node in graph.node if node.op_type == "Tile"]
    channels = {len(scales[node.input[0]]) for node in tiled}
    assert channels == {8}
