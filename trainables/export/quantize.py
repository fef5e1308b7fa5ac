"""INT8 files: static quantization of an FP32 ONNX picker from calibration windows.

Unsigned activations and signed per-channel weights; what comes after the last convolution stays float,
because softmax in 8 bits costs S picks (measured).
"""

# N calibration window, X component (E, N, Z), T time sample

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from trainables.export.once import Editor, Fold, store_once
from trainables.export.onnx import INPUT, NotPossibleError, OnnxPicker, export_xiaonet, save, strip, with_short_names
from trainables.export.operators import in_operators
from trainables.models.adapters import PickerAdapter
from trainables.models.xiaonet import XiaoNet

CONVOLUTIONS = ("Conv", "ConvTranspose")
INT8_CONVOLUTIONS = ("QLinearConv", "ConvInteger")
QUANTIZED_OPERATORS = ["Conv", "ConvTranspose", "Relu", "MaxPool", "Resize", "Concat"]
"""What is not here stays float: LSTM, attention, linear layers. Of ConvTranspose onnxruntime keeps the weights in INT8
and computes in FP32."""
CALIBRATION_BATCH = 16


class CalibrationWindows(CalibrationDataReader):
    """Hands the windows to onnxruntime in batches."""

    def __init__(self, windows_NXT: np.ndarray) -> None:
        self.batches: Iterator[np.ndarray] = iter(
            np.array_split(windows_NXT.astype(np.float32), -(-len(windows_NXT) // CALIBRATION_BATCH))
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch_NXT = next(self.batches, None)
        return None if batch_NXT is None else {INPUT: batch_NXT}


def quantize_picker(model: XiaoNet | PickerAdapter, fp32: Path, int8: Path, calibration_NXT: np.ndarray) -> None:
    """Write `int8` from a model whose FP32 file is `fp32`, of a XiaoNet with the graph that is fastest in INT8.

    The rest is as `quantize_int8` has it.
    """
    if not isinstance(model, XiaoNet):
        quantize_int8(fp32, int8, calibration_NXT)
        return
    program, folds = export_xiaonet(model, for_int8=True)
    with tempfile.TemporaryDirectory(prefix="seisweep-int8-") as scratch:
        same = Path(scratch, "same.onnx")
        save(program, same, OnnxPicker(fp32).metadata)
        quantize_int8(same, int8, calibration_NXT, folds)


def quantize_int8(
    fp32: Path, int8: Path, calibration_NXT: np.ndarray, folds: Mapping[str, Fold] = MappingProxyType({})
) -> None:
    """Write `int8` from the file `fp32`, with the ranges that activations take on `calibration_NXT`.

    `folds`: by name, those weights of the file that are folded. The same input gives the same bytes. Metadata is taken
    over. Raises NotPossibleError where there is no convolution.
    """
    metadata = {prop.key: prop.value for prop in onnx.load(fp32, load_external_data=False).metadata_props}
    with tempfile.TemporaryDirectory(prefix="seisweep-int8-") as scratch:
        prepared, quantized = Path(scratch, "prepared.onnx"), Path(scratch, "quantized.onnx")
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        after_last_conv = _name_nodes(prepared)
        quantize_static(
            str(prepared),
            str(quantized),
            CalibrationWindows(calibration_NXT),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=after_last_conv,
            extra_options={"TensorQuantOverrides": _equal_ranges(onnx.load(prepared), folds)},
        )
        program = onnx.load(quantized)
        in_operators(program)
        _without_what_follows(program)
        store_once(program, {f"{name}_quantized": fold for name, fold in folds.items()})
        save(with_short_names(strip(program)), int8, metadata)


def _equal_ranges(model: onnx.ModelProto, folds: Mapping[str, Fold]) -> dict[str, list[dict[str, Any]]]:
    """One range for a channel at all places of a block, so that its kernels are the same numbers at all."""
    ranges = {}
    for tensor in model.graph.initializer:
        if tensor.name in folds:
            weight_O = np.abs(onnx.numpy_helper.to_array(tensor)).max(axis=(1, 2, 3))
            channel_O = folds[tensor.name].channels(len(weight_O))
            largest_O = np.array([weight_O[channel_O == channel].max() for channel in channel_O])
            ranges[tensor.name] = [{"axis": 0, "rmin": -largest, "rmax": largest} for largest in largest_O]
    return ranges


def _without_what_follows(model: onnx.ModelProto) -> None:
    """In place, of convolutions that stay between conversions: the zero points of signed numbers, which are zeros, and
    the scale of a bias, which is that of the input times that of the weights."""
    editor = Editor(model.graph)
    for conv in [node for node in model.graph.node if node.op_type in CONVOLUTIONS]:
        dequantized = [editor.dequantized(name) for name in conv.input]
        for node in dequantized[1:]:
            if node is not None and len(node.input) == 3 and not editor.tensors[node.input[2]].any():
                del node.input[2:]
        if len(dequantized) == 3 and None not in dequantized:
            of_input, of_weight, of_bias = (node.input[1] for node in dequantized if node is not None)
            product = editor.tensors[of_input] * editor.tensors[of_weight]
            if np.array_equal(product, editor.tensors[of_bias]):
                editor.replace(of_bias, editor.add("Mul", of_input, of_weight))
    editor.finish()


def int8_conv_share(path: Path) -> float:
    """Share of convolutions that run in INT8, 0 to 1, read off the graph that onnxruntime optimizes to."""
    with tempfile.TemporaryDirectory(prefix="seisweep-graph-") as scratch:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(scratch, "optimized.onnx"))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        operators = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    int8 = sum(operator in INT8_CONVOLUTIONS for operator in operators)
    fp32 = sum(operator in (*CONVOLUTIONS, "FusedConv") for operator in operators)
    return int8 / max(int8 + fp32, 1)


def _name_nodes(path: Path) -> list[str]:
    """Give every node a name, in the file; returns the names of those after the last convolution."""
    model = onnx.load(path)
    convolutions = [i for i, node in enumerate(model.graph.node) if node.op_type in CONVOLUTIONS]
    if not convolutions:
        raise NotPossibleError("it has no convolution, and convolutions are what is quantized")
    last = max(convolutions)
    for position, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{position}"
    onnx.save(model, path)
    return [node.name for node in model.graph.node[last + 1 :]]
