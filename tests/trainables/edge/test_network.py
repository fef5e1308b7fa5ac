"""The model of an edge device: windows normalised as in training, settings, what is not a picker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.data.batches import normalise
from trainables.edge.network import load_onnx, with_options
from trainables.edge.network import normalise as normalised


@pytest.mark.parametrize("offset", [0, 1e5])
def test_windows_are_normalised_as_in_training(offset):
    raw_BXT = (np.random.default_rng(0).normal(size=(2, 3, 3001)).cumsum(-1) + offset).astype(np.float32)
    raw_BXT[1, 2] = 0
    assert normalised(raw_BXT) == pytest.approx(normalise(torch.from_numpy(raw_BXT)).numpy(), abs=2e-5)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"overlap": 3001}, "overlap 3001"),
        ({"overlap": -1}, "overlap -1"),
        ({"p_threshold": 0}, "threshold 0 of P"),
        ({"s_threshold": 1.5}, "threshold 1.5 of S"),
        ({"stacking": "sum"}, "stacking sum"),
        ({"blinding": (3000, 1)}, "blinding"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, part, network):
    with pytest.raises(ValueError, match=part):
        with_options(network, **settings)


def test_what_is_no_picker_says_so(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    shape = [None, 3, 3001]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ValueError, match="is not a picker"):
        load_onnx(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="is not an ONNX model"):
        load_onnx(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="no such file"):
        load_onnx(tmp_path / "absent.onnx")
