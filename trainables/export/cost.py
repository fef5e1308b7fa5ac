"""What an architecture costs: parameters, multiply-accumulates, bytes and latency in FP32 and INT8.

All of it depends on the architecture alone, so fresh weights are measured, once, before the first epoch. Latency in
wall time beside a busy neighbour means nothing, so it is the processor time of one warm thread, and the least of many:
a neighbour adds to it (caches, clock) and never takes away.
"""

# B batch, X component (E, N, Z), T time sample, N calibration window

from __future__ import annotations

import hashlib
import json
import math
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from trainables import metrics
from trainables.atomic import whole_file
from trainables.data.config import COMPONENT_ORDER, WINDOW_SAMPLES
from trainables.export.onnx import OnnxPicker, export_onnx
from trainables.export.quantize import int8_conv_share, quantize_int8
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student

FORMAT = 2
"""Raised when what is measured, or how, changes: older measurements are then not read again."""

WARM_UPS, MIN_PAIRS, MAX_PAIRS, TIME_LIMIT_S = 5, 10, 60, 1.0
MIN_ROUNDS, MAX_ROUNDS, PAUSE_S = 3, 8, 0.2
"""Rounds of such pairs, with a pause between: a neighbour that disturbs the whole of one is gone in another."""
AGREEMENT = 0.1
"""Measured again while a round lowers a minimum by more than this share, or while the median ratio of its pairs and the
ratio of the minima differ by more."""

CALIBRATION_WINDOWS = 8


def architecture_cost(config: StudentConfig, cache_dir: Path) -> dict[str, float]:
    """Metrics of `config`'s architecture; measured once on each kind of machine and then read from the cache.

    Several processes may ask at once: one measures, the others wait for it.
    """
    file = cache_dir / "architectures" / f"{_key(config)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if file.exists():
            return json.loads(file.read_text())["cost"]
        cost = measure(config)
        with whole_file(file) as arriving:
            arriving.write_text(json.dumps({"architecture": _facts(config), "cost": cost}, indent=2))
        return cost


def measure(config: StudentConfig) -> dict[str, float]:
    """Build, export and time a picker with fresh weights. Torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_student(config).eval()
    windows_NXT = np.random.default_rng(0).uniform(-1, 1, (CALIBRATION_WINDOWS, len(COMPONENT_ORDER), WINDOW_SAMPLES))
    with tempfile.TemporaryDirectory(prefix="seisweep-cost-") as scratch:
        fp32, int8 = Path(scratch, "fp32.onnx"), Path(scratch, "int8.onnx")
        export_onnx(model, fp32, thresholds={"P": 0.5, "S": 0.5})
        quantize_int8(fp32, int8, windows_NXT)
        fp32_ms, int8_ms, ratio = latencies_ms(fp32, int8)
        return {
            metrics.PARAMETERS: sum(parameter.numel() for parameter in model.parameters()),
            metrics.MACS: count_macs(model),
            metrics.FP32_BYTES: fp32.stat().st_size,
            metrics.INT8_BYTES: int8.stat().st_size,
            metrics.INT8_SIZE_RATIO: fp32.stat().st_size / int8.stat().st_size,
            metrics.FP32_LATENCY_MS: fp32_ms,
            metrics.INT8_LATENCY_MS: int8_ms,
            metrics.INT8_LATENCY_RATIO: ratio,
            metrics.INT8_CONV_SHARE: int8_conv_share(int8),
        }


def latencies_ms(fp32: Path, int8: Path) -> tuple[float, float, float]:
    """Least processor time of each file for one window on one warm thread, and their ratio, INT8 to FP32.

    Both take turns. A neighbour that comes or goes between the two shows in the pairs: where their median is another
    than the ratio of the minima, both are measured again. One that stays shows in the minima of the next round.
    """
    pickers = OnnxPicker(fp32), OnnxPicker(int8)
    window_BXT = np.random.default_rng(0).uniform(-1, 1, (1, len(COMPONENT_ORDER), WINDOW_SAMPLES))
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
    """All that the cost depends on. Dropout is not in the exported graph."""
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")
    return {
        "student": config.model_dump(exclude={"dropout"}),
        "versions": {package: version(package) for package in packages},
        "processor": _processor(),
        "format": FORMAT,
    }


def _key(config: StudentConfig) -> str:
    facts = json.dumps(_facts(config), sort_keys=True)
    return f"base{config.base_channels}-pool{config.pooling}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(("model name", "Model", "Hardware")):
                return line.split(":", 1)[-1].strip()
    return platform.processor() or platform.machine()
