"""What does picking cost without torch? The edge picker beside torch and SeisBench, one thread each, in alternation.

    python benchmarks/edge_picker.py [--hours 1 10] [--rounds 3] [--model FOLDER]

Each way picks synthetic streams of so many hours in a process of its own. FOLDER holds a trial's files (a SeisBench
pair, FP32 and INT8 ONNX); by default a XiaoNet of random weights, base 8, pooling 4. Speed is processor time, that of
starting Python and importing left out. Memory is the largest resident size of the process (Linux), everything
included. Size is that of the installed files of the packages that this way needs, as far as they are installed here.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import obspy

from trainables.export.picker_folder import write_program

REPOSITORY = Path(__file__).resolve().parent.parent
RATE_HZ = 100
START = obspy.UTCDateTime(2024, 1, 1)

MEASURE = """
import sys, time
def done(began_s):
    seconds = time.process_time() - began_s
    peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(seconds, peak_kb, file=sys.stderr)
"""
EDGE = (
    MEASURE
    + """
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from trainables.edge.job import run
from trainables.edge.network import load_onnx
began_s = time.process_time()
run(load_onnx(Path(sys.argv[2])), [sys.argv[3]], Path(sys.argv[4]))
done(began_s)
"""
)
SEISBENCH = (
    MEASURE
    + """
import obspy, torch
from seisbench.models import PhaseNet
torch.set_num_threads(1)
if sys.argv[2] == "phasenet":
    model = PhaseNet()
else:
    from trainables.models.xiaonet import XiaoNet
    model = XiaoNet.load(sys.argv[2], version_str="1")
began_s = time.process_time()
model.classify(obspy.read(sys.argv[3]))
done(began_s)
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model or random_student(Path(scratch, "student"))
        ways = {
            "pick.pyz, XiaoNet INT8": (EDGE, folder / "model_int8.onnx"),
            "pick.pyz, XiaoNet FP32": (EDGE, folder / "model_fp32.onnx"),
            "torch and SeisBench, XiaoNet": (SEISBENCH, folder / "xiaonet"),
            "torch and SeisBench, PhaseNet": (SEISBENCH, Path("phasenet")),
        }
        sizes = {EDGE: installed_mb("onnxruntime", "numpy", "obspy"), SEISBENCH: installed_mb("torch", "seisbench")}
        for hours in options.hours:
            stream = Path(scratch, f"{hours:g}.mseed")
            write_stream(stream, hours)
            measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way, (code, model) in ways.items():
                    measured[way].append(pick(code, model, stream, Path(scratch)))
            print(f"\n{hours:g} h, 3 components, {stream.stat().st_size / 1e6:.1f} MB\n")
            print(f"{'':32}{'times real time':>16}{'peak memory, MB':>17}{'installed, MB':>15}")
            for way, (code, _) in ways.items():
                seconds = statistics.median(s for s, _ in measured[way])
                peak_mb = statistics.median(p for _, p in measured[way])
                print(f"{way:32}{hours * 3600 / seconds:>16.0f}{peak_mb:>17.0f}{sizes[code]:>15.0f}", flush=True)


def pick(code: str, model: Path, stream: Path, scratch: Path) -> tuple[float, float]:
    """Processor time in seconds and peak memory in MB of one way on one stream."""
    program = scratch / "pick.pyz"
    write_program(program)
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "platform")])
    found = subprocess.run(
        [sys.executable, "-c", code, str(program), str(model), str(stream), str(scratch / "picks.csv")],
        capture_output=True,
        text=True,
        env={**os.environ, **threads, "PYTHONPATH": path},
        check=False,
    )
    if found.returncode:
        sys.exit(found.stderr)
    seconds, peak_kb = map(float, found.stderr.splitlines()[-1].split())
    return seconds, peak_kb * 1024 / 1e6


def write_stream(path: Path, hours: float) -> None:
    """Noise with an earthquake of a kind every minute, as MiniSEED of 512-byte records, written hour by hour."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for first_s in np.arange(0, hours * 3600, 3600):
            time_T = np.arange(int(min(3600, hours * 3600 - first_s) * RATE_HZ)) / RATE_HZ
            for component in "ENZ":
                burst_T = 5000 * np.exp(-(time_T % 60) / 3) * np.sin(2 * np.pi * 5 * time_T)
                data = (rng.normal(0, 300, len(time_T)) + burst_T).astype(np.int32)
                header = {"network": "XX", "station": "SYN", "channel": f"HH{component}", "sampling_rate": RATE_HZ}
                trace = obspy.Trace(data, {**header, "starttime": START + float(first_s)})
                trace.write(file, format="MSEED", reclen=512)


def random_student(folder: Path) -> Path:
    """Files as a trial leaves them, of random weights: speed and memory do not depend on them."""
    import torch

    from trainables.export.artifacts import FP32_FILE, INT8_FILE, save_seisbench
    from trainables.export.onnx import export_onnx
    from trainables.export.quantize import quantize_picker
    from trainables.models.xiaonet import StudentConfig, build_student

    torch.manual_seed(0)
    model = build_student(StudentConfig(base_channels=8, pooling=4)).eval()
    folder.mkdir()
    thresholds = {"P": 0.5, "S": 0.5}
    save_seisbench(model, folder, thresholds, "random weights")
    export_onnx(model, folder / FP32_FILE, thresholds)
    windows_NXT = np.random.default_rng(0).uniform(-1, 1, (16, 3, 3001)).astype(np.float32)
    quantize_picker(model, folder / FP32_FILE, folder / INT8_FILE, windows_NXT)
    return folder


def installed_mb(*packages: str) -> float:
    """Size of the files of these packages and of all that they depend on, without extras, in MB."""
    wanted, seen, total = list(packages), set(), 0
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform
        total += sum(size for file in found.files or [] if (size := _bytes(Path(str(file.locate())))))
        wanted += [re.split(r"[\s;<>=!~\[(]", line)[0] for line in found.requires or [] if "extra ==" not in line]
    return total / 1e6


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


if __name__ == "__main__":
    main()
