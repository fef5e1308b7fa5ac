from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from trainables.export.once import Fold, store_once


def convolution(weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    node = make_node("Conv", ["x", "weight", "bias"], ["y"], pads=[0, 1, 0, 1])
    x, y = (
        make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, 1, "time"])
        for name, channels in (("x", weight.shape[1]), ("y", weight.shape[0]))
    )
    return make_model(make_graph([node], "one", [x], [y], tensors), opset_imports=[make_opsetid("", 18)], ir_version=9)


def answer(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    channels = session.get_inputs()[0].shape[1]
    return session.run(None, {"x": np.random.default_rng(0).normal(size=(2, channels, 1, 9)).astype(np.float32)})[0]


def folded() -> tuple[np.ndarray, np.ndarray]:
    """Weights (2 O, 2 C, 1, 3) of 3 channels each, of which every place has the kernels of one sample, and a bias."""
    kernels_OCK = np.random.default_rng(1).normal(size=(20, 30, 3)).astype(np.float32)
    weight = np.zeros((2, 20, 2, 30, 1, 3), dtype=np.float32)
    for place in range(2):
        for tap in range(3):
            at = place + tap - 1
            weight[place, :, at % 2, :, 0, at // 2 + 1] = kernels_OCK[..., tap]
    return weight.reshape(40, 60, 1, 3), np.tile(np.arange(20, dtype=np.float32), 2)


def test_a_kernel_is_stored_once_and_no_number_changes():
    weight, bias = folded()
    written_out = convolution(weight, bias)
    before, size = answer(written_out), written_out.ByteSize()
    store_once(written_out, {"weight": Fold(2, ((60, 2),))})
    onnx.checker.check_model(written_out, full_check=True)
    np.testing.assert_array_equal(answer(written_out), before)
    assert written_out.ByteSize() < size / 3
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in written_out.graph.initializer}
    assert {array.shape for array in stored.values() if array.ndim == 3 and array.dtype == np.float32} == {(3, 20, 30)}
    assert sum(array.shape == (20,) for array in stored.values()) == 1


def test_parts_of_an_input_are_stored_apart():
    weight, bias = folded()
    joined = np.concatenate([weight, np.random.default_rng(2).normal(size=(40, 5, 1, 3)).astype(np.float32)], axis=1)
    written_out = convolution(joined, bias)
    before = answer(written_out)
    store_once(written_out, {"weight": Fold(2, ((60, 2), (5, 1)))})
    np.testing.assert_array_equal(answer(written_out), before)


def test_what_is_not_folded_stays():
    written_out = convolution(*folded())
    before = written_out.SerializeToString()
    store_once(written_out, {"another": Fold(2, ((60, 2),))})
    assert written_out.SerializeToString() == before


def test_channels_of_outputs():
    assert Fold(2, ()).channels(6).tolist() == [0, 1, 2, 0, 1, 2]
    assert Fold(2, (), classes_first=True).channels(6).tolist() == [0, 0, 1, 1, 2, 2]
