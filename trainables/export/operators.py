"""INT8 graphs written with the operators that run, where quantization wrote float ones between two conversions.

A convolution behind DequantizeLinear and before QuantizeLinear is what onnxruntime runs as QLinearConv. Written so, it
is one node instead of four, and its bias needs no scale. What only moves numbers (a pooling, a new shape) moves 8-bit
ones. No answer changes: onnxruntime makes the same of both graphs when it loads them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

MOVING = ("Transpose", "Reshape", "MaxPool", "Concat")
"""The same for numbers and for what they stand for, where all have one scale."""
ZERO_POINT = "zero_point_of_weights"


@dataclass(frozen=True)
class _Stored:
    """The integers behind a float tensor, with their parameters, all by name; weights also have an axis."""

    name: str
    scale: str
    zero_point: str
    attributes: tuple[onnx.AttributeProto, ...]


def in_operators(model: onnx.ModelProto) -> None:
    """In place: QLinearConv for convolutions between conversions, and no conversion around what only moves numbers."""
    _Writer(model.graph).write()


class _Writer:
    """Goes through the nodes in their order; a DequantizeLinear is written when something asks for float numbers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.readers = Counter(name for node in graph.node for name in node.input)
        self.readers.update(value.name for value in graph.output)
        self.quantized = {node.input[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, _Stored] = {}
        """Of float tensors."""
        self.same_as: dict[str, str] = {}
        """Of 8-bit tensors that were made out of others and are those."""
        self._in_float: set[str] = set()

    def write(self) -> None:
        for node in self.graph.node:
            if node.op_type == "DequantizeLinear":
                zero_point = node.input[2] if len(node.input) == 3 else ""
                name = self.same_as.get(node.input[0], node.input[0])
                self.stored[node.output[0]] = _Stored(name, node.input[1], zero_point, tuple(node.attribute))
            elif node.op_type == "QuantizeLinear":
                self._quantize(node)
            elif not (self._convolution(node) or self._moving(node)):
                self._in_floats(node)
        for value in self.graph.output:
            self._float(value.name)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _quantize(self, node: onnx.NodeProto) -> None:
        if node.output[0] in self.same_as:  # by the convolution before it
            return
        before = self.stored.get(node.input[0])
        if before is not None and self._values(node.input[1:]) == self._values((before.scale, before.zero_point)):
            self.same_as[node.output[0]] = before.name
        else:
            self._in_floats(node)

    def _is_on_scale_of(self, one: _Stored, other: _Stored) -> bool:
        """Whether both have one scale for all of their numbers."""
        has_axis = self.tensors.get(one.scale, np.zeros(2)).size > 1
        return not has_axis and self._values((one.scale, one.zero_point)) == self._values(
            (other.scale, other.zero_point)
        )

    def _values(self, names: Sequence[str]) -> list[object]:
        """To compare constants, of which equal ones may have several names."""
        tensors = [self.tensors.get(name) for name in names]
        return [
            name if tensor is None else (tensor.dtype, tensor.shape, tensor.tobytes())
            for name, tensor in zip(names, tensors, strict=True)
        ]

    def _convolution(self, node: onnx.NodeProto) -> bool:
        """Whether it is written as QLinearConv."""
        after = self.quantized.get(node.output[0])
        stored = [self.stored.get(name) for name in node.input]
        if node.op_type != "Conv" or after is None or self.readers[node.output[0]] > 1 or len(after.input) < 3:
            return False
        known = [one for one in stored if one is not None]
        if len(known) < len(stored) or not known[0].zero_point or not self._has_scale_of_product(known):
            return False
        x, weight, *bias = known
        zero_point = weight.zero_point if self._is_shifted(weight) else self._zero()
        inputs = [x.name, x.scale, x.zero_point, weight.name, weight.scale, zero_point, *after.input[1:]]
        written = make_node("QLinearConv", [*inputs, *(one.name for one in bias)], [after.output[0]])
        written.attribute.extend(node.attribute)
        self.nodes.append(written)
        self.same_as[after.output[0]] = after.output[0]
        return True

    def _has_scale_of_product(self, known: list[_Stored]) -> bool:
        """Whether the bias, if any, counts in units of the input's scale times that of the weights, as QLinearConv has
        it."""
        if len(known) == 2:
            return True
        x, weight, bias = (self.tensors.get(one.scale, np.array(np.nan)) for one in known)
        return np.array_equal(x * weight, bias) and not self._is_shifted(known[2])

    def _is_shifted(self, one: _Stored) -> bool:
        return one.zero_point in self.tensors and bool(self.tensors[one.zero_point].any())

    def _zero(self) -> str:
        if ZERO_POINT not in self.tensors:
            self.tensors[ZERO_POINT] = np.array(0, dtype=np.int8)
            self.graph.initializer.append(numpy_helper.from_array(self.tensors[ZERO_POINT], ZERO_POINT))
        return ZERO_POINT

    def _moving(self, node: onnx.NodeProto) -> bool:
        """Whether it moves the 8-bit numbers."""
        if node.op_type not in MOVING or len(node.output) > 1:
            return False
        moved = list(node.input) if node.op_type == "Concat" else [node.input[0]]
        stored = [self.stored.get(name) for name in moved]
        known = [one for one in stored if one is not None]
        if len(known) < len(stored) or not all(self._is_on_scale_of(one, known[0]) for one in known):
            return False
        output = node.output[0]
        eight_bit = f"{output}_moved"
        self.stored[output] = dataclasses.replace(known[0], name=eight_bit)
        names = [one.name for one in known]
        self.nodes.append(make_node(node.op_type, [*names, *node.input[len(moved) :]], [eight_bit]))
        self.nodes[-1].attribute.extend(node.attribute)
        return True

    def _in_floats(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            self._float(name)
        self.nodes.append(node)

    def _float(self, name: str) -> None:
        one = self.stored.get(name)
        if one is not None and name not in self._in_float:
            self._in_float.add(name)
            inputs = [one.name, one.scale, one.zero_point] if one.zero_point else [one.name, one.scale]
            self.nodes.append(make_node("DequantizeLinear", inputs, [name]))
            self.nodes[-1].attribute.extend(one.attributes)
