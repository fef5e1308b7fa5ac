"""INT8 files: static quantization (QDQ) of an FP32 ONNX picker from calibration windows.

Unsigned activations and signed per-channel weights; what comes after the last convolution stays float,
because softmax in 8 bits costs S picks (measured).
"""

# N calibration window, X component (E, N, Z), T time sample

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from trainables.export.onnx import INPUT, NotPossibleError, save, strip

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


def quantize_int8(fp32: Path, int8: Path, calibration_NXT: np.ndarray) -> None:
    """Write `int8` from the file `fp32`, with the ranges that activations take on `calibration_NXT`.

    The same input gives the same bytes. Metadata is taken over. Raises NotPossibleError where there is no convolution.
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
        )
        save(_with_short_names(strip(onnx.load(quantized))), int8, metadata)


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


def _with_short_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Number the tensors, in place: in a small network the names are a tenth of an INT8 file."""
    graph = model.graph
    keep = {value.name for value in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {}

    def rename(name: str) -> str:
        return name if name in keep else short.setdefault(name, f"{len(short):x}")

    for tensor in graph.initializer:
        tensor.name = rename(tensor.name)
    for node in graph.node:
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    return model
