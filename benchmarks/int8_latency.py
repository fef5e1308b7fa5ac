"""What folding samples into channels gains: latency of XiaoNet's ONNX files against the graph that was exported before.

    python benchmarks/int8_latency.py [--rounds 10] [--sizes 8/4 7/4/wide ...]

Before: each level at its own rate, what comes from below upsampled and joined, and one convolution over both;
onnxruntime's own softmax. All four files of a size (before and now, FP32 and INT8) take turns in one process on one
thread; what is shown is the least processor time of one window in milliseconds, and ratios of it. Random weights: time
does not depend on them. Rows go to `int8_latency.csv` beside this file.
"""

from __future__ import annotations

import argparse
import copy
import math
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.export.cost import processor
from trainables.export.folded import in_two_dimensions
from trainables.export.onnx import OnnxPicker, export_onnx, program_of, save
from trainables.export.quantize import quantize_int8, quantize_picker
from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student

SIZES = ("8/4", "8/2", "7/4/wide", "8/4/wide", "4/4", "16/4", "16/2", "16/4/wide")
TURNS = 40
PAUSE_S = 0.2
"""Between rounds: a neighbour that disturbs the whole of one is gone in another."""


class Join(nn.Module):
    """Upsample, concatenate, one convolution."""

    def __init__(self, conv: nn.Module, factor: int) -> None:
        super().__init__()
        self.conv, self.factor = conv, factor

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        skip_BC1T, below_BC1T = pair
        risen_BC1T = F.interpolate(below_BC1T, scale_factor=(1.0, float(self.factor)), mode="nearest")
        return self.conv(torch.cat([skip_BC1T, risen_BC1T], dim=1))


def before(model: XiaoNet) -> XiaoNet:
    """The same function as it was exported before."""
    plain = copy.deepcopy(model)
    in_two_dimensions(plain)
    for block in plain.decoder:
        assert isinstance(block, nn.Sequential)
        block[0] = Join(block[0], plain.pooling)
    return plain.eval()


def files(size: str, folder: Path) -> dict[tuple[str, str], Path]:
    """By graph and precision."""
    base_channels, pooling, *context = size.split("/")
    config = {"base_channels": int(base_channels), "pooling": int(pooling), "context": (context or ["near"])[0]}
    torch.manual_seed(0)
    model = build_student(StudentConfig.model_validate(config)).eval()
    windows_NXT = np.random.default_rng(0).uniform(-1, 1, (8, 3, model.window_len)).astype(np.float32)
    paths = {(graph, kind): folder / f"{graph}_{kind}.onnx" for graph in ("before", "now") for kind in ("fp32", "int8")}
    with torch.no_grad():
        save(program_of(before(model), model.interface), paths["before", "fp32"], model.interface.metadata())
    quantize_int8(paths["before", "fp32"], paths["before", "int8"], windows_NXT)
    export_onnx(model, paths["now", "fp32"])
    quantize_picker(model, paths["now", "fp32"], paths["now", "int8"], windows_NXT)
    return paths


def latencies_ms(paths: list[Path], rounds: int) -> np.ndarray:
    pickers = [OnnxPicker(path) for path in paths]
    window_BXT = np.random.default_rng(0).uniform(-1, 1, (1, 3, pickers[0].window_samples)).astype(np.float32)
    least_ns = np.full(len(paths), math.inf)
    for _ in range(rounds):
        for _ in range(TURNS):
            for number, picker in enumerate(pickers):
                started_ns = time.thread_time_ns()
                picker(window_BXT)
                least_ns[number] = min(least_ns[number], time.thread_time_ns() - started_ns)
        time.sleep(PAUSE_S)
    return least_ns / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="base channels/pooling, and /wide for wide context")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    print(f"{processor()}, onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}, one thread")
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            paths = files(size, Path(folder))
            times_ms = dict(zip(paths, latencies_ms(list(paths.values()), options.rounds), strict=True))
            row = {"base/pooling": size}
            for (graph, kind), path in paths.items():
                row |= {
                    f"{kind}_{graph}_ms": round(times_ms[graph, kind], 3),
                    f"{kind}_{graph}_bytes": path.stat().st_size,
                }
        row["fp32_now_to_before"] = round(times_ms["now", "fp32"] / times_ms["before", "fp32"], 2)
        row["int8_now_to_before"] = round(times_ms["now", "int8"] / times_ms["before", "int8"], 2)
        row["int8_to_fp32_before"] = round(times_ms["before", "int8"] / times_ms["before", "fp32"], 2)
        row["int8_to_fp32_now"] = round(times_ms["now", "int8"] / times_ms["now", "fp32"], 2)
        row["int8_now_to_fp32_before"] = round(times_ms["now", "int8"] / times_ms["before", "fp32"], 2)
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items() if not name.endswith("bytes")), flush=True)
    pd.DataFrame(rows).to_csv(options.output, index=False)


if __name__ == "__main__":
    main()
