from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lifelike import picker, windows

from trainables.export.onnx import OPSET, OnnxPicker, export_onnx, strip, with_short_names
from trainables.export.quantize import quantize_picker

SIZES = [
    (8, 4, "batch"),
    (16, 2, "batch"),
    (3, 4, "batch"),
    (4, 4, "group"),
    (4, 4, "batch", "wide"),
    (4, 2, "group", "wide"),
]


@pytest.mark.parametrize("size", SIZES)
def test_fp32_file_equals_the_torch_model(tmp_path, size):
    model = picker(*size)
    export_onnx(model, tmp_path / "model.onnx")
    windows_NXT = windows(3, seed=1)
    with torch.no_grad():
        expected_NCT = model(torch.from_numpy(windows_NXT)).numpy()
    np.testing.assert_allclose(OnnxPicker(tmp_path / "model.onnx")(windows_NXT), expected_NCT, atol=1e-4)


def test_onnxruntime_runs_convolutions_of_constants_and_nothing_idle(files, tmp_path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(files.fp32), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimized.onnx").graph
    constants = {tensor.name for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 15
    assert all(set(node.input[1:]) <= constants for node in convolutions)
    idle = {"BatchNormalization", "Identity", "Expand", "Pad", "Tile", "Gather", "Cast", "Softmax"}
    assert not {node.op_type for node in graph.node} & idle


@pytest.mark.parametrize(("size", "fp32_bytes", "int8_bytes"), [((8, 4), 170_668, 54_922), ((16, 2), 658_958, 181_503)])
def test_files_are_no_larger_than_with_every_weight_written_out(tmp_path, size, fp32_bytes, int8_bytes):
    """Sizes of the same networks before levels were folded."""
    model = picker(*size)
    export_onnx(model, tmp_path / "fp32.onnx", {"P": 0.3, "S": 0.3})
    quantize_picker(model, tmp_path / "fp32.onnx", tmp_path / "int8.onnx", windows(2))
    assert (tmp_path / "fp32.onnx").stat().st_size <= fp32_bytes
    assert (tmp_path / "int8.onnx").stat().st_size <= int8_bytes


def test_weights_of_zeros_are_written_too(tmp_path):
    model = picker()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    export_onnx(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(OnnxPicker(tmp_path / "model.onnx")(windows(1)), 1 / 3, rtol=1e-6)


def test_file_says_what_a_caller_must_know(files):
    metadata = OnnxPicker(files.fp32).metadata
    assert metadata["component_order"] == "ENZ"
    assert metadata["classes"] == "PSN"
    assert metadata["sampling_rate_hz"] == "100"
    assert metadata["window_samples"] == "3001"
    assert (metadata["P_threshold"], metadata["S_threshold"]) == ("0.3", "0.25")


def test_export_is_silent_leaves_the_model_alone_and_no_other_file(tmp_path, capfd):
    model = picker()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    with warnings.catch_warnings(), torch.autocast("cpu", dtype=torch.bfloat16):
        warnings.simplefilter("error")
        export_onnx(model, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_picker_file_runs_where_torch_is_not_installed(files):
    code = """
import json, sys
sys.modules["torch"] = None
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
out = session.run(None, {"waveforms": numpy.zeros((5, 3, 3001), "float32")})[0]
print(json.dumps([list(out.shape), float(abs(out.sum(1) - 1).max())]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(files.int8)], capture_output=True, text=True, check=True)
    shape, largest_error = json.loads(done.stdout)
    assert shape == [5, 3, 3001]
    assert largest_error < 1e-5


def with_constant(name: str, values: np.ndarray, node: onnx.NodeProto) -> onnx.ModelProto:
    x, y = (onnx.helper.make_tensor_value_info(one, onnx.TensorProto.FLOAT, ["n"]) for one in ("x", "y"))
    graph = onnx.helper.make_graph([node], "one", [x], [y], [onnx.numpy_helper.from_array(values, name)])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])


@pytest.mark.parametrize("values", [[1, 4, 3008], [0, 200, 127], [-7, -1, 2**20]])
@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_integers_are_stored_as_what_is_shorter(values, kind):
    values = np.array(values).astype(kind)
    program = with_constant("k", values, onnx.helper.make_node("Gather", ["x", "k"], ["y"]))
    before = program.graph.initializer[0].ByteSize()
    stored = strip(program).graph.initializer[0]
    onnx.checker.check_model(program)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored), values)
    assert onnx.numpy_helper.to_array(stored).dtype == kind
    assert (stored.ByteSize() <= before - values.nbytes // 2) == (values >= 0).all()
    assert stored.ByteSize() <= before


@pytest.mark.parametrize(("shape", "kept"), [([-1, 3], False), ([0, 3], True)])
def test_a_new_shape_says_what_a_zero_means_only_where_it_has_one(shape, kept):
    node = onnx.helper.make_node("Reshape", ["x", "k"], ["y"], allowzero=1)
    program = strip(with_constant("k", np.array(shape), node))
    assert ("allowzero" in [attribute.name for attribute in program.graph.node[0].attribute]) == kept


def test_what_is_not_said_takes_no_byte(files):
    program = onnx.load(files.int8)
    graph = program.graph
    for part in (program, graph, *graph.input, *graph.output, *graph.node, *graph.initializer):
        assert "" not in [value for _, value in part.ListFields()]


def test_what_is_named_most_often_has_the_shortest_names():
    tensors = [onnx.numpy_helper.from_array(np.float32(1), f"t{number}") for number in range(40)]
    nodes = [onnx.helper.make_node("Sum", ["x", *(f"t{number}" for number in range(40))], ["sum"])]
    nodes += [onnx.helper.make_node("Mul", ["sum", "t39"], ["y"])]
    x, y = (onnx.helper.make_tensor_value_info(one, onnx.TensorProto.FLOAT, []) for one in ("x", "y"))
    program = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "one", [x], [y], tensors), opset_imports=[onnx.helper.make_opsetid("", OPSET)]
    )
    with_short_names(program)
    onnx.checker.check_model(program)
    first, last = program.graph.node
    assert (first.input[0], last.output[0]) == ("x", "y")
    assert last.input[1] == "0"
    assert len({*first.input, *first.output}) == 42
