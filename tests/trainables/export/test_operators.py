from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from trainables.export.operators import in_operators

X_SCALE, Y_SCALE = np.float32(0.03), np.float32(0.05)
WEIGHT_SCALES = np.array([0.01, 0.02, 0.03], dtype=np.float32)
CONSTANTS = {
    "x_scale": X_SCALE,
    "y_scale": Y_SCALE,
    "y_scale_again": Y_SCALE,
    "weight_scale": WEIGHT_SCALES,
    "bias_scale": X_SCALE * WEIGHT_SCALES,
    "another_scale": X_SCALE * WEIGHT_SCALES * 2,
    "zero": np.uint8(0),
    "middle": np.uint8(128),
    "weight": np.random.default_rng(0).integers(-127, 128, (3, 2, 1, 3)).astype(np.int8),
    "bias": np.array([100, -200, 300], dtype=np.int32),
    "shape": np.array([-1, 1, 3, 12]),
}


def quantized(name: str, scale: str, zero_point: str) -> list[NodeProto]:
    """NAME_8 and NAME_after, which is float again."""
    return [
        make_node("QuantizeLinear", [name, scale, zero_point], [f"{name}_8"]),
        make_node("DequantizeLinear", [f"{name}_8", scale, zero_point], [f"{name}_after"]),
    ]


def convolution(bias_scale: str = "bias_scale") -> list[NodeProto]:
    return [
        *quantized("x", "x_scale", "middle"),
        make_node("DequantizeLinear", ["weight", "weight_scale"], ["weight_float"], axis=0),
        make_node("DequantizeLinear", ["bias", bias_scale], ["bias_float"], axis=0),
        make_node("Conv", ["x_after", "weight_float", "bias_float"], ["y"], pads=[0, 1, 0, 1]),
        *quantized("y", "y_scale", "zero"),
    ]


def model(nodes: Sequence[NodeProto], output: str) -> onnx.ModelProto:
    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(np.asarray(CONSTANTS[name]), name) for name in CONSTANTS if name in used]
    x = make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 1, 12])
    y = make_tensor_value_info(output, TensorProto.FLOAT, ["number", "channels", "height", "time"])
    graph = make_graph(list(nodes), "one", [x], [y], tensors)
    return make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=9)


def answer(program: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(program, full_check=True)
    session = onnxruntime.InferenceSession(program.SerializeToString(), providers=["CPUExecutionProvider"])
    window = np.random.default_rng(1).normal(size=(2, 2, 1, 12)).astype(np.float32)
    return session.run(None, {"x": window})[0]


def rewritten(nodes: Sequence[NodeProto], output: str) -> list[str]:
    """Names of the operators after, which answer the same."""
    program = model(nodes, output)
    before = answer(program)
    assert before.std() > 0
    in_operators(program)
    np.testing.assert_array_equal(answer(program), before)
    return [node.op_type for node in program.graph.node]


def test_a_convolution_between_conversions_is_one_node():
    assert rewritten(convolution(), "y_after") == ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]


def test_so_is_one_without_a_bias():
    *before, _, conv, quantize, dequantize = convolution()
    conv = make_node("Conv", conv.input[:2], conv.output, pads=[0, 1, 0, 1])
    nodes = [*before, conv, quantize, dequantize]
    assert rewritten(nodes, "y_after") == ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]


def test_a_bias_of_another_scale_stays_as_it_is():
    operators = rewritten(convolution("another_scale"), "y_after")
    assert operators.count("DequantizeLinear") == 4
    assert operators.count("Conv") == 1


def test_a_convolution_that_is_also_read_in_float_stays():
    nodes = [*convolution(), make_node("Add", ["y", "y_after"], ["both"])]
    assert "Conv" in rewritten(nodes, "both")


def test_what_moves_numbers_moves_integers():
    nodes = [
        *convolution(),
        make_node("Transpose", ["y_after"], ["a"], perm=[0, 2, 1, 3]),
        make_node("Reshape", ["a", "shape"], ["b"]),
        *quantized("b", "y_scale_again", "zero"),
        make_node("MaxPool", ["b_after"], ["c"], kernel_shape=[1, 4], strides=[1, 4]),
        make_node("Concat", ["c", "c"], ["d"], axis=1),
        *quantized("d", "y_scale", "zero"),
    ]
    moving = ["Transpose", "Reshape", "MaxPool", "Concat"]
    assert rewritten(nodes, "d_after") == ["QuantizeLinear", "QLinearConv", *moving, "DequantizeLinear"]


@pytest.mark.parametrize(("scale", "zero_point"), [("x_scale", "zero"), ("y_scale", "middle")])
def test_what_goes_on_another_scale_is_converted(scale, zero_point):
    nodes = [
        *convolution(),
        make_node("MaxPool", ["y_after"], ["a"], kernel_shape=[1, 4]),
        *quantized("a", scale, zero_point),
    ]
    after = ["MaxPool", "DequantizeLinear", "QuantizeLinear", "DequantizeLinear"]
    assert rewritten(nodes, "a_after") == ["QuantizeLinear", "QLinearConv", *after]


def test_parts_on_different_scales_are_joined_in_float():
    nodes = [
        *convolution(),
        make_node("MaxPool", ["x_after"], ["a"], kernel_shape=[1, 1]),
        make_node("Concat", ["y_after", "a"], ["b"], axis=1),
        *quantized("b", "y_scale", "middle"),
    ]
    operators = rewritten(nodes, "b_after")
    at = operators.index("Concat")
    assert operators[at - 2 : at + 2] == ["DequantizeLinear", "DequantizeLinear", "Concat", "QuantizeLinear"]


def test_one_conversion_serves_all_that_ask_for_floats():
    nodes = [
        *convolution(),
        make_node("Sqrt", ["y_after"], ["a"]),
        make_node("Mul", ["y_after", "a"], ["b"]),
        make_node("MaxPool", ["y_after"], ["c"], kernel_shape=[1, 1]),
        make_node("Add", ["b", "c"], ["d"]),
    ]
    operators = rewritten(nodes, "d")
    assert operators.count("DequantizeLinear") == 2  # of the convolution, and of what is pooled
