"""What an architecture costs: parameters, multiply-accumulates, bytes and latency in FP32 and INT8.

All of it depends on the architecture alone, so fresh weights are measured, once, before the first epoch. Latency in
wall time beside a busy neighbour means nothing, so it is the processor time of one warm thread, and the least of many:
a neighbour adds to it (caches, clock) and never takes away.
"""

# B batch, X component (E, N, Z), T time sample, N calibration window

from __future__ import annotations

import copy
import hashlib
import json
import math
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainables import metrics
from trainables.atomic import whole_file
from trainables.data.config import COMPONENT_ORDER, WINDOW_SAMPLES
from trainables.export.onnx import NotPossibleError, OnnxPicker, export_onnx
from trainables.export.own import quantize_own
from trainables.export.quantize import int8_conv_share
from trainables.models.adapters import PickerAdapter
from trainables.models.own_network import OwnNetwork, build_own
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student

FORMAT = 4
"""Raised when what is measured, or how, changes: older measurements are then not read again."""

WARM_UPS, MIN_PAIRS, MAX_PAIRS, TIME_LIMIT_S = 5, 10, 60, 1.0
MIN_ROUNDS, MAX_ROUNDS, PAUSE_S = 3, 8, 0.2
"""Rounds of such pairs, with a pause between: a neighbour that disturbs the whole of one is gone in another."""
AGREEMENT = 0.1
"""Measured again while a round lowers a minimum by more than this share, or while the median ratio of its pairs and the
ratio of the minima differ by more."""

CALIBRATION_WINDOWS = 8
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


def architecture_cost(config: StudentConfig, cache_dir: Path) -> dict[str, float]:
    """Metrics of `config`'s architecture; measured once on each kind of machine and then read from the cache.

    Several processes may ask at once: one measures, the others wait for it.
    """
    return _once(_key(config), _facts(config), cache_dir, lambda: measure(config))


def network_cost(picker: PickerAdapter, cache_dir: Path, with_files: bool) -> dict[str, float]:
    """The same of any other network; without files (which a training that exports nothing does not write) parameters
    and multiply-accumulates alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = build_own(picker.architecture, picker.arguments) if isinstance(picker, OwnNetwork) else picker
    if not with_files:
        return _arithmetic(fresh)
    facts = _facts_of_network(fresh)
    name = type(fresh.network).__name__.lower()
    return _once(f"{name}-{_digest(facts)}", facts, cache_dir, lambda: measure_network(fresh))


def _once(
    key: str, facts: dict[str, Any], cache_dir: Path, measured: Callable[[], dict[str, float]]
) -> dict[str, float]:
    file = cache_dir / "architectures" / f"{key}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if file.exists():
            return json.loads(file.read_text())["cost"]
        cost = measured()
        with whole_file(file) as arriving:
            arriving.write_text(json.dumps({"architecture": facts, "cost": cost}, indent=2))
        return cost


def measure(config: StudentConfig) -> dict[str, float]:
    """Build, export and time a picker with fresh weights. Torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_student(config).eval()
    return measure_network(model)


def measure_network(model: XiaoNet | PickerAdapter, with_latencies: bool = True) -> dict[str, float]:
    """Export and time a copy of a picker. Of a user's network that cannot be exported, or not in INT8, what there is.
    Without latencies its parameters, multiply-accumulates and bytes alone."""
    model = _with_biases(model)
    num_samples = model.interface.window_samples
    windows_NXT = np.random.default_rng(0).uniform(-1, 1, (CALIBRATION_WINDOWS, len(COMPONENT_ORDER), num_samples))
    with tempfile.TemporaryDirectory(prefix="seisweep-cost-") as scratch:
        fp32, int8 = Path(scratch, "fp32.onnx"), Path(scratch, "int8.onnx")
        found = _arithmetic(model)
        try:
            export_onnx(model, fp32, thresholds={"P": 0.5, "S": 0.5})
            found[metrics.FP32_BYTES] = fp32.stat().st_size
            quantize_own(model, fp32, int8, windows_NXT)
        except NotPossibleError:
            if fp32.exists() and with_latencies:
                found[metrics.FP32_LATENCY_MS] = latencies_ms(fp32, fp32, num_samples)[0]
            return found
        if not with_latencies:
            return found | {metrics.INT8_BYTES: int8.stat().st_size}
        fp32_ms, int8_ms, ratio = latencies_ms(fp32, int8, num_samples)
        return found | {
            metrics.FP32_BYTES: fp32.stat().st_size,
            metrics.INT8_BYTES: int8.stat().st_size,
            metrics.INT8_SIZE_RATIO: fp32.stat().st_size / int8.stat().st_size,
            metrics.FP32_LATENCY_MS: fp32_ms,
            metrics.INT8_LATENCY_MS: int8_ms,
            metrics.INT8_LATENCY_RATIO: ratio,
            metrics.INT8_CONV_SHARE: int8_conv_share(int8),
        }


def _with_biases(fresh: XiaoNet | PickerAdapter) -> XiaoNet | PickerAdapter:
    """A copy whose biases are not zero, as after training: an export leaves zeros out."""
    copied = copy.deepcopy(fresh)
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.dim() == 1 and not parameter.any():
                parameter.fill_(0.01)
    return copied


def latencies_ms(fp32: Path, int8: Path, window_samples: int = WINDOW_SAMPLES) -> tuple[float, float, float]:
    """Least processor time of each file for one window on one warm thread, and their ratio, INT8 to FP32.

    Both take turns. A neighbour that comes or goes between the two shows in the pairs: where their median is another
    than the ratio of the minima, both are measured again. One that stays shows in the minima of the next round.
    """
    pickers = OnnxPicker(fp32), OnnxPicker(int8)
    window_BXT = np.random.default_rng(0).uniform(-1, 1, (1, len(COMPONENT_ORDER), window_samples))
    window_BXT = window_BXT.astype(np.float32)
    least = np.full(2, math.inf)  # FP32, INT8
    for number in range(1, MAX_ROUNDS + 1):
        pairs = np.array(_pairs_ms(*pickers, window_BXT))
        before, least = least, np.minimum(least, pairs.min(axis=0))
        lowered = (least < (1 - AGREEMENT) * before).any()
        median = np.median(pairs[:, 1] / pairs[:, 0])
        if number >= MIN_ROUNDS and not lowered and abs(median / (least[1] / least[0]) - 1) <= AGREEMENT:
            break
        time.sleep(PAUSE_S)
    return float(least[0]), float(least[1]), float(least[1] / least[0])


def _pairs_ms(fp32: OnnxPicker, int8: OnnxPicker, window_BXT: np.ndarray) -> list[tuple[float, float]]:
    """Times of both in turns, after a few that nobody counts."""
    pairs: list[tuple[float, float]] = []
    started_s = time.perf_counter()
    while len(pairs) < WARM_UPS + MAX_PAIRS:
        pairs.append((_time_ms(fp32, window_BXT), _time_ms(int8, window_BXT)))
        if len(pairs) >= WARM_UPS + MIN_PAIRS and time.perf_counter() - started_s > TIME_LIMIT_S:
            break
    return pairs[WARM_UPS:]


def _arithmetic(model: XiaoNet | PickerAdapter) -> dict[str, float]:
    return {
        metrics.PARAMETERS: sum(parameter.numel() for parameter in model.parameters()),
        metrics.MACS: count_macs(model) if isinstance(model, XiaoNet) else count_products(model),
    }


def count_products(picker: PickerAdapter) -> int:
    """Multiply-accumulates of all convolutions and matrix products of any network for one window."""
    window_BXT = torch.zeros(1, len(COMPONENT_ORDER), picker.interface.window_samples)
    plain = copy.deepcopy(picker).cpu().eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch muses on what other processors would do
        # oneDNN would run an LSTM as one operation that nobody counts.
        with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
            plain.core(window_BXT)
    return counter.get_total_flops() // 2


def count_macs(model: XiaoNet) -> int:
    """Multiply-accumulates of the convolutions for one window."""
    total = 0

    def count(conv: nn.Module, inputs: Any, output_BC1T: Tensor) -> None:
        nonlocal total
        assert isinstance(conv, nn.Conv1d)
        total += output_BC1T.numel() * conv.in_channels // conv.groups * conv.kernel_size[0]

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv1d)]
    try:
        with torch.no_grad():
            model(torch.zeros(1, model.in_channels, model.window_len))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _time_ms(picker: OnnxPicker, window_BXT: np.ndarray) -> float:
    """Processor time of this thread, which does all of the work."""
    started_ns = time.thread_time_ns()
    picker(window_BXT)
    return max(time.thread_time_ns() - started_ns, 1) / 1e6


def _facts(config: StudentConfig) -> dict[str, Any]:
    """All that the cost depends on. Dropout is not in the exported graph; what was measured before there was a context
    was near."""
    no_matter = {"dropout"} if config.context == "wide" else {"dropout", "context"}
    return {
        "student": config.model_dump(exclude=no_matter),
        "versions": {package: version(package) for package in PACKAGES},
        "processor": processor(),
        "format": FORMAT,
    }


def _facts_of_network(picker: PickerAdapter) -> dict[str, Any]:
    """All that its cost depends on: its tensors, and of a user's network also what it answers to a fixed window."""
    tensors = {name: list(tensor.shape) for name, tensor in picker.state_dict().items()}
    facts = {
        "network": type(picker.network).__name__,
        "tensors": _digest(tensors),
        "window_samples": picker.interface.window_samples,
        "versions": {package: version(package) for package in PACKAGES},
        "processor": processor(),
        "format": FORMAT,
    }
    if isinstance(picker, OwnNetwork):
        facts["answer"] = weights_digest(picker) + _answer(picker)
    return facts


def _answer(picker: OwnNetwork) -> str:
    generator = torch.Generator().manual_seed(0)
    window_BXT = torch.randn(1, len(COMPONENT_ORDER), picker.interface.window_samples, generator=generator)
    with torch.no_grad():
        answer_BCT = copy.deepcopy(picker).cpu().eval().core(window_BXT)
    return hashlib.sha256(answer_BCT.numpy().tobytes()).hexdigest()[:12]


def _key(config: StudentConfig) -> str:
    return f"base{config.base_channels}-pool{config.pooling}-{_digest(_facts(config))}"


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def processor() -> str:
    """What the system calls it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(("model name", "Model", "Hardware")):
                return line.split(":", 1)[-1].strip()
    return platform.processor() or platform.machine()
