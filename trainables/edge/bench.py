"""How fast the models of a folder are on this device, how much memory they take, and which to use.

    python pick.pyz bench [--model FILE]... [--seconds 20] [--threads 1]

All models take turns, each turn in the other order than the one before, so that whatever else the device does meets all
of them. A turn is one window alone, which is what a picker of live data waits for, and a synthetic record of some
minutes, windows overlapping and stacked as `pick.pyz` does it; no file is read. Times are those of the clock on the
wall. Memory is the largest resident size of a process that does the same with one model alone, Python and libraries
included.
"""

# C class, X component, T time sample

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trainables.edge.network import Network, load_onnx, models_in, told_of_accuracy
from trainables.edge.picking import annotate

WORD = "bench"
"""First word of the program's arguments; a file of that name is ./bench."""

LONGEST_RECORD_S, SHARE_OF_TURN = 600, 20
"""A record is at most so long, and so short that a turn of all models takes at most a twentieth of the time."""
FEWEST_TURNS = 5
QUIET_SPREAD = 1.5
"""90 % of turns over 10 %, from which on something else is said to be running."""


class Turn(NamedTuple):
    """Seconds that one model took."""

    window_s: float
    record_s: float


class Spread(NamedTuple):
    """The middle of all turns, and where all but the lowest and the highest tenth lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
        return cls(float(median), float(low), float(high))

    def __format__(self, how: str) -> str:
        return f"{self.median:{how}} ({self.low:{how}} to {self.high:{how}})"


def bench(arguments: Sequence[str]) -> int:
    """Measure and print; the exit code. Raises ValueError where there is nothing to measure."""
    parser = argparse.ArgumentParser(prog=f"pick.pyz {WORD}", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, action="append", help="ONNX file; default all beside this program")
    parser.add_argument("--seconds", type=float, default=20, help="roughly how long to measure; default 20")
    parser.add_argument("--threads", type=int, default=1, help="threads of a model; default 1")
    options = parser.parse_args(arguments)
    if options.seconds <= 0 or options.threads < 1:
        raise ValueError("--seconds must be above 0, --threads at least 1")
    files = options.model or models_in(Path(sys.argv[0]).resolve().parent)
    if not files:
        raise ValueError("no .onnx file beside this program; name one with --model")
    networks = [load_onnx(file, options.threads) for file in files]
    record_s, turns = measure(networks, options.seconds)
    memory_mb = [peak_memory_mb(file, record_s, options.threads) for file in files]
    for line in report(files, networks, record_s, turns, memory_mb, options.threads):
        print(line)
    return 0


def measure(networks: Sequence[Network], seconds: float) -> tuple[float, list[list[Turn]]]:
    """The length of the record in seconds, and the turns of each network."""
    window_s = max(network.window_samples / network.rate_hz for network in networks)
    speed = min(_speed(network) for network in networks)
    longest_s = seconds / SHARE_OF_TURN / len(networks) * speed
    record_s = float(np.clip(longest_s, 2 * window_s, max(LONGEST_RECORD_S, 2 * window_s)))
    turns: list[list[Turn]] = [[] for _ in networks]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(turns[0]) < FEWEST_TURNS:
        order = list(enumerate(networks))
        for number, network in reversed(order) if len(turns[0]) % 2 else order:
            turns[number].append(Turn(_window_s(network), _record_s(network, record_s)))
    return record_s, turns


def report(
    files: Sequence[Path],
    networks: Sequence[Network],
    record_s: float,
    turns: Sequence[Sequence[Turn]],
    memory_mb: Sequence[float | None],
    threads: int,
) -> list[str]:
    """Lines of a table, and which of the models to use."""
    windows_ms = [Spread.of([1000 * turn.window_s for turn in its]) for its in turns]
    speeds = [Spread.of([record_s / turn.record_s for turn in its]) for its in turns]
    accuracy = [told_of_accuracy(file) for file in files]
    rows = [
        ["", *(file.name for file in files)],
        ["file, kB", *(f"{file.stat().st_size / 1000:.0f}" for file in files)],
        ["one window, ms", *(f"{one:.2f}" for one in windows_ms)],
        ["times real time", *(f"{one:.0f}" for one in speeds)],
        ["peak memory, MB", *("not measured" if one is None else f"{one:.0f}" for one in memory_mb)],
        *([["F1 on the test split", *accuracy]] if any(accuracy) else []),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    minutes, components = record_s / 60, len(networks[0].components)
    return [
        f"{device()}, {threads} thread{'s' if threads > 1 else ''}, {libraries()}",
        f"{len(turns[0])} turns with a record of {minutes:.1f} min of {components} components: the median, and in "
        "brackets the range of eight in ten",
        "",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
        "",
        *which(files, turns),
    ]


def which(files: Sequence[Path], turns: Sequence[Sequence[Turn]]) -> list[str]:
    """Which of an INT8 file and another one to use on this device, in words; and whether the device was busy."""
    int8 = [number for number, file in enumerate(files) if "int8" in file.name]
    said = []
    if len(files) == 2 and len(int8) == 1:
        small, large = int8[0], 1 - int8[0]
        ratio = Spread.of([a.record_s / b.record_s for a, b in zip(turns[small], turns[large], strict=True)])
        bytes_saved = files[large].stat().st_size - files[small].stat().st_size
        takes = f"{files[small].name} takes {ratio:.2f} of the time of {files[large].name}, turn by turn"
        if ratio.low > 1:
            path = os.path.relpath(files[large])
            said.append(f"use {files[large].name} here (`--model {path}`): {takes}")
        elif ratio.high < 1:
            said.append(f"use {files[small].name} here: {takes}")
        else:
            said.append(
                f"use {files[small].name} here, which is {bytes_saved / 1000:.0f} kB smaller; neither is faster for "
                f"certain: {takes}"
            )
    else:
        said.append("to compare INT8 and FP32, put one file of each here")
    spreads = [Spread.of([turn.record_s for turn in its]) for its in turns]
    if any(one.high > QUIET_SPREAD * one.low for one in spreads):
        said.append("the turns differ much: something else runs on this device, or it slows down as it gets warm")
    return said


def device() -> str:
    """Processor, cores, system."""
    name = ""
    for file, key in (("/proc/device-tree/model", ""), ("/proc/cpuinfo", "model name")):
        try:
            text = Path(file).read_text(errors="replace")
        except OSError:
            continue
        found = [line.partition(":")[2] for line in text.splitlines() if line.startswith(key)] if key else [text]
        name = name or (found[0].strip("\0 \t") if found else "")
    return f"{name or platform.processor() or 'processor unknown'} ({platform.machine()}, {os.cpu_count()} cores)"


def libraries() -> str:
    """Versions that decide how fast it is."""
    found = [f"Python {platform.python_version()}"]
    for name in ("onnxruntime", "numpy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def peak_memory_mb(model: Path, record_s: float, threads: int) -> float | None:
    """Of a process that picks with this model alone; None where the system does not say."""
    place = Path(__file__).parents[2]  # the folder or archive that this package lies in
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from trainables.edge.bench import print_own_memory; print_own_memory(*sys.argv[2:])"
    )
    given = [sys.executable, "-c", code, place, model, record_s, threads]
    done = subprocess.run(list(map(str, given)), capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def print_own_memory(model: str, record_s: str, threads: str) -> None:
    """In that process."""
    _record_s(load_onnx(Path(model), int(threads)), float(record_s))
    status = Path("/proc/self/status")
    if status.exists():
        peak_kb = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        print(int(peak_kb) * 1024 / 1e6)
    elif sys.platform == "darwin":
        import resource

        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def _speed(network: Network) -> float:
    """Times real time, roughly; it also warms the network up."""
    seconds = 4 * network.window_samples / network.rate_hz
    return seconds / min(_record_s(network, seconds) for _ in range(2))


def _window_s(network: Network) -> float:
    window_XT = _waveforms(network, network.window_samples)
    began_s = time.perf_counter()
    network.probabilities(window_XT[None])
    return time.perf_counter() - began_s


def _record_s(network: Network, seconds: float) -> float:
    waveforms_XT = _waveforms(network, round(seconds * network.rate_hz))
    began_s = time.perf_counter()
    for _ in annotate(lambda first, last: waveforms_XT[:, first:last], waveforms_XT.shape[1], network):
        pass
    return time.perf_counter() - began_s


def _waveforms(network: Network, num_samples: int) -> np.ndarray:
    """Counts (X, T) of noise with a burst every minute, the same each time."""
    time_T = np.arange(num_samples) / network.rate_hz
    burst_T = 5000 * np.exp(-(time_T % 60) / 3) * np.sin(2 * np.pi * 5 * time_T)
    noise_XT = np.random.default_rng(0).normal(0, 300, (len(network.components), num_samples))
    return (noise_XT + burst_T).astype(np.float32)
