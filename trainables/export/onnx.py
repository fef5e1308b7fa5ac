"""FP32 ONNX files of a picker, and running an ONNX picker without torch's model.

The exported graph of a XiaoNet holds plain 2-D convolutions with constant weights, batch normalisation folded in
(`folded`).
"""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

import copy
import io
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from trainables.atomic import whole_file
from trainables.data.batches import Batch
from trainables.data.config import COMPONENT_ORDER
from trainables.edge.network import steps_of
from trainables.export.folded import FoldedXiaoNet
from trainables.export.once import Fold, store_once
from trainables.models.adapters import PickerAdapter
from trainables.models.interface import PEAK, Interface, prepared
from trainables.models.own_network import OwnNetwork
from trainables.models.xiaonet import XiaoNet
from trainables.quiet import quiet_library

INPUT, OUTPUT = "waveforms", "probabilities"
OPSET = 18
MOST_DIFFERENT = 1e-3
"""Of the probabilities of an ONNX file and of PyTorch."""

STATED = (
    "sampling_rate_hz",
    "component_order",
    "window_samples",
    "classes",
    "normalisation",
    "normalisation_steps",
    "stacking",
    "blinding_samples",
)
"""What a caller must know, kept in the file itself (ONNX metadata_props), as `Interface.metadata` has it."""


class NotPossibleError(ValueError):
    """A user's network cannot be written as ONNX, or not in INT8; the message says why."""


class OnnxPicker:
    """An ONNX picker: prepared windows (B, 3, T) to probabilities (B, C, T)."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, prepared_BXT: np.ndarray) -> np.ndarray:
        return self.session.run([OUTPUT], {INPUT: np.ascontiguousarray(prepared_BXT, dtype=np.float32)})[0]

    @property
    def window_samples(self) -> int:
        return int(self.session.get_inputs()[0].shape[2])

    @property
    def is_picker(self) -> bool:
        """Whether its answers are curves of P, S and perhaps another class, of windows of three components."""
        given, answered = self.session.get_inputs()[0].shape, self.session.get_outputs()[0].shape
        if len(given) != 3 or given[1] != 3 or len(answered) != 3:
            return False
        num_classes = answered[1] if isinstance(answered[1], int) else len(self._stated_classes)  # else not stated
        return {"P", "S"} <= set(self._stated_classes) and num_classes == len(self._stated_classes)

    def of_batch(self, batch: Batch) -> np.ndarray:
        """Its probabilities (B, C, T), P and S first, of windows of its length."""
        steps = steps_of(self.metadata)
        prepared_BXT = batch.normalised_BXT if steps == PEAK else prepared(batch.raw_BXT, steps)
        return self(prepared_BXT.cpu().numpy())[:, self._order]

    @property
    def classes(self) -> str:
        """What each row of `of_batch` is, P and S first: PSN, PSD or PS."""
        return "".join(self._stated_classes[row] for row in self._order)

    @property
    def _stated_classes(self) -> str:
        return self.metadata.get("classes", "PSN")

    @property
    def _order(self) -> list[int]:
        classes = self._stated_classes
        return sorted(range(len(classes)), key=lambda row: "PS".index(classes[row]) if classes[row] in "PS" else 2)


def begins_as_onnx(path: Path) -> bool:
    """Whether a file, whatever its name, begins as ONNX does: with the field of its version."""
    with path.open("rb") as file:
        return file.read(1) == b"\x08"


def export_onnx(model: XiaoNet | PickerAdapter, path: Path, thresholds: Mapping[str, float] | None = None) -> None:
    """Write `model` as FP32 ONNX: prepared input "waveforms" (B, 3, T), output "probabilities" (B, C, T).

    `thresholds` of P and S go into the file's metadata beside what the interface of the model says. The model itself is
    left as it is. Raises NotPossibleError where a user's network cannot be exported, or answers otherwise as ONNX.
    """
    metadata = model.interface.metadata()
    metadata |= {f"{phase}_threshold": f"{value:g}" for phase, value in (thresholds or {}).items()}
    if isinstance(model, XiaoNet):
        program, folds = export_xiaonet(model)
        store_once(program, folds)
        save(with_short_names(strip(program)), path, metadata)
        return
    if not isinstance(model, OwnNetwork):
        save(program_of(_plain_copy(model), model.interface), path, metadata)
        return
    try:
        plain = _plain_copy(model)
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):  # the exporter prints what it does not know
            program = program_of(plain, model.interface)
        save(program, path, metadata)
        _check_equal(plain, model.interface, path)
    except NotPossibleError:
        path.unlink()
        raise
    except Exception as error:  # whatever the exporter does with a user's own code
        raise NotPossibleError(first_words(error)) from error


def export_xiaonet(model: XiaoNet, for_int8: bool = False) -> tuple[onnx.ModelProto, dict[str, Fold]]:
    """Its graph in FP32, for use as it is or to be quantized, and by name those of its weights that are folded."""
    plain = _plain_copy(model, for_int8)
    assert isinstance(plain, FoldedXiaoNet)
    return program_of(plain, model.interface), plain.weights


def first_words(error: BaseException) -> str:
    """What an error says in its first line, and of one that wraps others the innermost."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _check_equal(plain: nn.Module, interface: Interface, path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    window_BXT = torch.randn(3, len(COMPONENT_ORDER), interface.window_samples, generator=generator)
    with torch.no_grad():
        difference = np.abs(plain(window_BXT).numpy() - OnnxPicker(path)(window_BXT.numpy())).max()
    if not difference <= MOST_DIFFERENT:
        raise NotPossibleError(f"its probabilities as ONNX differ by {difference:.3g} from those of PyTorch")


def program_of(plain: nn.Module, interface: Interface) -> onnx.ModelProto:
    """Of a module on the CPU in eval mode, from prepared windows to probabilities."""
    example_BXT = torch.zeros(2, len(COMPONENT_ORDER), interface.window_samples)
    with (
        quiet_library("torch"),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        program = torch.onnx.export(
            plain,
            (example_BXT,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return strip(program.model_proto)


def add_metadata(path: Path, more: Mapping[str, str]) -> None:
    """Write further entries into the metadata of a file, which stays as it is otherwise."""
    model = onnx.load(path)
    save(model, path, {prop.key: prop.value for prop in model.metadata_props} | dict(more))


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove, in place, what inference does not need: the exporter's notes, shapes, repeated constants, attributes that
    say what is so without them."""
    graph = model.graph
    for described in (model, graph, *graph.input, *graph.output, *graph.initializer, *graph.node):
        described.ClearField("doc_string")  # an empty text would take two bytes, as other empty ones
    domains = {node.domain for node in graph.node}
    for opset in [opset for opset in model.opset_import if opset.domain not in domains]:
        model.opset_import.remove(opset)
    del model.functions[:], graph.value_info[:], graph.metadata_props[:], graph.quantization_annotation[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    first_of: dict[tuple[int, tuple[int, ...], bytes], onnx.TensorProto] = {}
    replaced = {}
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for tensor in graph.initializer:
        content = (tensor.data_type, tuple(tensor.dims), arrays[tensor.name].tobytes())
        replaced[tensor.name] = first_of.setdefault(content, tensor).name
    used = set()
    for node in graph.node:
        node.ClearField("name")
        del node.metadata_props[:]
        node.input[:] = [replaced.get(name, name) for name in node.input]
        _leave_defaults_out(node)
        _leave_allowzero_out(node, arrays)
        used.update(node.input)
    kept = [copy.deepcopy(tensor) for tensor in first_of.values() if tensor.name in used]
    del graph.initializer[:]
    for tensor in kept:
        del tensor.metadata_props[:]
        _store_small_integers_small(tensor)
    graph.initializer.extend(kept)
    return model


def _leave_defaults_out(node: onnx.NodeProto) -> None:
    """Of a node of the standard operators, in place."""
    if node.domain or not onnx.defs.has(node.op_type):
        return
    defined = onnx.defs.get_schema(node.op_type, OPSET).attributes
    for attribute in list(node.attribute):
        value = onnx.helper.get_attribute_value(attribute)
        default = defined[attribute.name].default_value if attribute.name in defined else onnx.AttributeProto()
        if (
            (default.type and value == onnx.helper.get_attribute_value(default))
            or (attribute.name in ("strides", "dilations") and set(value) == {1})
            or (attribute.name == "pads" and not any(value))
            or (attribute.name == "kernel_shape" and node.op_type == "Conv")  # that of the weights
        ):
            node.attribute.remove(attribute)


def _leave_allowzero_out(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> None:
    """Of a new shape that is known and has no zero, in place."""
    if node.op_type == "Reshape" and node.input[1] in constants and constants[node.input[1]].all():
        kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(kept)


def _store_small_integers_small(tensor: onnx.TensorProto) -> None:
    """In place, where that is shorter: ONNX has fields in which a small integer is one byte, of whatever kind it is."""
    fields: dict[int, str] = {onnx.TensorProto.INT64: "int64_data", onnx.TensorProto.INT32: "int32_data"}
    if (field := fields.get(tensor.data_type)) is None:
        return
    small = onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, name=tensor.name)
    getattr(small, field).extend(onnx.numpy_helper.to_array(tensor).ravel().tolist())
    if small.ByteSize() < tensor.ByteSize():
        tensor.CopyFrom(small)


def with_short_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Number the tensors, in place, those first that are named most often: in a small network names are a tenth of an
    INT8 file."""
    graph = model.graph
    keep = {value.name for value in (*graph.input, *graph.output)} | {""}
    named = Counter(tensor.name for tensor in graph.initializer)
    for node in graph.node:
        named.update((*node.input, *node.output))
    others = [name for name, _ in named.most_common() if name not in keep]
    short = {name: name for name in keep} | {name: np.base_repr(number, 36) for number, name in enumerate(others)}
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
    for node in graph.node:
        node.input[:] = [short[name] for name in node.input]
        node.output[:] = [short[name] for name in node.output]
    return model


def save(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the file, whole or not at all."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    model.producer_name = "seisweep"
    model.ClearField("producer_version")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as arriving:
        arriving.write_bytes(model.SerializeToString())


class _Answering(nn.Module):
    """A network behind its adapter, from prepared windows to probabilities."""

    def __init__(self, adapter: PickerAdapter) -> None:
        super().__init__()
        self.adapter = adapter

    def forward(self, prepared_BXT: Tensor) -> Tensor:
        return self.adapter.interface.probabilities(self.adapter.core(prepared_BXT))


def _plain_copy(model: XiaoNet | PickerAdapter, for_int8: bool = False) -> nn.Module:
    """A copy on the CPU in eval mode, as it is exported; what is drawn after it does not hang on it."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        copied = copy.deepcopy(model).cpu().float().eval()
        return (FoldedXiaoNet(copied, for_int8) if isinstance(copied, XiaoNet) else _Answering(copied)).eval()
