"""Weights of folded convolutions in a file: each of their kernels is stored once, and the graph repeats them.

onnxruntime computes the repetitions when it loads the file, not when it runs.
"""

# O output channel, C channel, P place within a block, F channel of a fold (P C), K tap, U kernel that is stored

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

ONE_OF_ZEROS = np.array([0, 0, 0, 1, 0, 0])
"""Padding of (U, O, C): one kernel more, behind."""


@dataclass(frozen=True)
class Fold:
    """How the weights of a folded convolution repeat kernels of the one that it stands for."""

    places: int
    """Of a block of outputs."""
    inputs: tuple[tuple[int, int], ...]
    """Of each part of the input: its channels, and the places of a block among them."""
    classes_first: bool = False
    """Whether outputs are those of the first channel, of the second, ..., and not those of the first place, ..."""

    def channels(self, num_outputs: int) -> np.ndarray:
        """Of each output, which channel of one place it is."""
        channels_O = np.arange(num_outputs // self.places)
        return np.repeat(channels_O, self.places) if self.classes_first else np.tile(channels_O, self.places)


def store_once(model: onnx.ModelProto, folds: Mapping[str, Fold]) -> None:
    """In place: the kernels of the weights that `folds` names, and biases and scales of their outputs, stored once.

    No number changes. Weights are in FP32, or in INT8, of a QLinearConv or behind a DequantizeLinear.
    """
    editor = Editor(model.graph)
    for conv in [node for node in model.graph.node if node.op_type in ("Conv", "QLinearConv")]:
        weight, *of_outputs = _constants(editor, conv)
        fold, weight_OF1K = folds.get(weight), editor.tensors.get(weight)
        if fold is None or weight_OF1K is None or not weight_OF1K.any():
            continue
        editor.replace(weight, _kernels(editor, weight_OF1K, fold))
        for name in of_outputs:
            values_F = editor.tensors.get(name)
            if values_F is not None and not fold.classes_first:
                once_O = values_F[: len(values_F) // fold.places]
                if len(once_O) < len(values_F) and np.array_equal(np.tile(once_O, fold.places), values_F):
                    repeats = editor.constant(np.array([fold.places]))
                    editor.replace(name, editor.add("Tile", editor.constant(once_O), repeats))
    editor.finish()


def _constants(editor: Editor, conv: onnx.NodeProto) -> list[str]:
    """The weights of a convolution, and what it has for each of its outputs: scales of the weights, a bias."""
    if conv.op_type == "QLinearConv":
        return [conv.input[3], conv.input[4], *conv.input[8:]]
    return list(chain.from_iterable(editor.stored(name) for name in conv.input[1:]))


def _kernels(editor: Editor, weight_OF1K: np.ndarray, fold: Fold) -> str:
    """The name of a tensor that the graph puts together like this one."""
    outputs, _, _, taps = weight_OF1K.shape
    parts, first = [], 0
    for channels, places in fold.inputs:
        part_OFK = weight_OF1K[:, first : first + channels, 0]
        first += channels
        by_channel = (channels // places, taps)
        if fold.classes_first:
            part_OCPPK = part_OFK.reshape(-1, fold.places, places, *by_channel).transpose(0, 3, 1, 2, 4)
        else:
            part_OCPPK = part_OFK.reshape(fold.places, -1, places, *by_channel).transpose(1, 3, 0, 2, 4)
        kernels_UOC, index_PPK = _distinct(part_OCPPK)
        kernels = editor.add("Pad", editor.constant(kernels_UOC), editor.constant(ONE_OF_ZEROS))
        repeated_PPKOC = editor.add("Gather", kernels, editor.constant(index_PPK))
        order = (3, 0, 1, 4, 2) if fold.classes_first else (0, 3, 1, 4, 2)
        repeated = editor.add("Transpose", repeated_PPKOC, perm=order)
        shape = editor.constant(np.array([outputs, channels, 1, taps]))
        parts.append(editor.add("Reshape", repeated, shape))
    return parts[0] if len(parts) == 1 else editor.add("Concat", *parts, axis=1)


def _distinct(part_OCPPK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(U, O, C), in the order in which they are met, and which of them stands at each place and tap; U for zeros."""
    columns = part_OCPPK.reshape(*part_OCPPK.shape[:2], -1)
    known: dict[bytes, int] = {}
    index = []
    for at in range(columns.shape[2]):
        is_zero = not columns[..., at].any()
        index.append(-1 if is_zero else known.setdefault(columns[..., at].tobytes(), len(known)))
    kernels_OCU = columns[..., [index.index(number) for number in range(len(known))]]
    index_PPK = np.array(index, dtype=np.int32).reshape(part_OCPPK.shape[2:])
    return np.moveaxis(kernels_OCU, 2, 0), np.where(index_PPK < 0, np.int32(len(known)), index_PPK)


class Editor:
    """Adds to a graph what is computed from constants alone, and lets it take the place of constants."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.made_by = {output: node for node in graph.node for output in node.output}
        self._first = len(graph.node)  # names of an editor before this one end there
        self._added: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._replaced: dict[str, str] = {}
        self._outputs: dict[bytes, str] = {}

    def dequantized(self, name: str) -> onnx.NodeProto | None:
        """The node of which it comes, if that is a DequantizeLinear."""
        node = self.made_by.get(name)
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    def stored(self, name: str) -> list[str]:
        """A constant of a node, or where it is dequantized first, the quantized one and its scale."""
        node = self.dequantized(name)
        return [name] if node is None else list(node.input[:2])

    def constant(self, array: np.ndarray) -> str:
        content = (array.dtype.str, array.shape, array.tobytes())
        return self._constants.setdefault(content, f"once_{self._first + len(self._constants)}")

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Its output; that of before where it was added before."""
        node = make_node(operator, [self._replaced.get(name, name) for name in inputs], [], **attributes)
        output = self._outputs.get(node.SerializeToString())
        if output is None:
            output = self._outputs[node.SerializeToString()] = f"repeated_{self._first + len(self._added)}"
            node.output.append(output)
            self._added.append(node)
        return output

    def replace(self, constant: str, by: str) -> None:
        self._replaced[constant] = by
        self.tensors.pop(constant, None)

    def finish(self) -> None:
        """Write it all into the graph."""
        if not self._added:
            return
        nodes = list(self.graph.node)
        for node in nodes:
            node.input[:] = [self._replaced.get(name, name) for name in node.input]
        kept = [tensor for tensor in self.graph.initializer if tensor.name not in self._replaced]
        for (kind, shape, content), name in self._constants.items():
            kept.append(numpy_helper.from_array(np.frombuffer(content, kind).reshape(shape), name))
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend([*self._added, *nodes])
        self.graph.initializer.extend(kept)
