"""Do a distilled student, its ONNX files and the edge picker find what the teacher finds in continuous waveforms?

    python benchmarks/continuous_picks.py TEACHER TRIAL WAVEFORMS [--tolerance 0.5]

TEACHER is a SeisBench pair (its stem), TRIAL a folder with the files of a finished distillation, WAVEFORMS a file.
Every way picks the same waveforms at its own thresholds: teacher and student through SeisBench's `classify`, FP32 and
INT8 ONNX through `seisweep pick` and through the `pick.pyz` of a picker folder. Precision and recall are those of the
student's picks against the teacher's, which are no truth. Exit code 1 where the ONNX files do not pick as they should:
FP32 as the PyTorch student to one sample, `pick.pyz` as `seisweep pick`.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import obspy
from obspy import UTCDateTime
from seisbench.models import PhaseNet, WaveformModel

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "platform")]

from trainables.export.artifacts import FP32_FILE, INT8_FILE
from trainables.export.picker_folder import write_picker_folder
from trainables.models.xiaonet import XiaoNet

SAMPLE_S = 0.01


class Pick(NamedTuple):
    """An onset at the one station."""

    phase: str
    time: UTCDateTime
    probability: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("trial", type=Path)
    parser.add_argument("waveforms", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.5, help="of a pick from the teacher's, in seconds")
    options = parser.parse_args()
    ways = {
        "teacher, classify": classified(PhaseNet.load(options.teacher, version_str="1"), options.waveforms),
        "student, classify": classified(XiaoNet.load(options.trial / "xiaonet", version_str="1"), options.waveforms),
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, file in (("FP32", FP32_FILE), ("INT8", INT8_FILE)):
            model, folder = options.trial / file, Path(scratch, name)
            write_picker_folder(folder, model, {})
            command = ["-c", "from seisweep.cli import main; main()", "pick", str(model)]
            ways[f"{name}, seisweep pick"] = picked(command, options.waveforms, Path(scratch, "picks.csv"))
            ways[f"{name}, pick.pyz"] = picked(
                [str(folder / "pick.pyz")], options.waveforms, Path(scratch, "picks.csv")
            )
    stream = obspy.read(str(options.waveforms))
    print(f"{options.waveforms.name}: {stream[0].stats.npts / stream[0].stats.sampling_rate / 60:.0f} min")
    show(ways, options.tolerance)
    shift = largest_shift(ways["student, classify"], ways["FP32, seisweep pick"])
    same = shift <= 1
    apart = f"the same picks, at most {shift:.0f} samples apart" if same else "OTHER PICKS"
    print(f"\nFP32 against the PyTorch student: {apart}")
    for name in ("FP32", "INT8"):
        equal = ways[f"{name}, seisweep pick"] == ways[f"{name}, pick.pyz"]
        print(f"{name}, pick.pyz against seisweep pick: {'the same picks' if equal else 'OTHER PICKS'}")
        same &= equal
    return 0 if same else 1


def classified(model: WaveformModel, waveforms: Path) -> list[Pick]:
    """Picks of SeisBench's `classify`, at the model's own thresholds."""
    found = model.classify(obspy.read(str(waveforms))).picks
    return sorted((Pick(pick.phase, pick.peak_time, float(pick.peak_value)) for pick in found), key=lambda p: p.time)


def picked(command: list[str], waveforms: Path, output: Path) -> list[Pick]:
    """Picks of a program that takes waveforms and `--output`."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "platform")])
    subprocess.run(
        [sys.executable, *command, str(waveforms), "--output", str(output)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with output.open() as file:
        rows = list(csv.DictReader(file))
    return [Pick(row["phase"], UTCDateTime(row["time"]), float(row["probability"])) for row in rows]


def show(ways: dict[str, list[Pick]], tolerance_s: float) -> None:
    """A table: picks of each phase, and against the teacher's precision, recall and mean distance."""
    teacher = ways["teacher, classify"]
    print(f"\n{'':22}" + "".join(f"{f'{p} picks':>9}{'precision':>11}{'recall':>8}{'apart, s':>10}" for p in "PS"))
    for name, picks in ways.items():
        line = f"{name:22}"
        for phase in "PS":
            own = [pick for pick in picks if pick.phase == phase]
            reference = [pick for pick in teacher if pick.phase == phase]
            apart_s = distances_s(own, reference, tolerance_s)
            mean_s = sum(apart_s) / max(len(apart_s), 1)
            precision, recall = (len(apart_s) / max(len(of), 1) for of in (own, reference))
            line += f"{len(own):>9}{precision:>11.3f}{recall:>8.3f}{mean_s:>10.3f}"
        print(line)


def distances_s(picks: list[Pick], reference: list[Pick], tolerance_s: float) -> list[float]:
    """How far each pick lies from the nearest reference that is still free, within the tolerance; the closest first."""
    pairs = sorted((abs(a.time - b.time), i, j) for i, a in enumerate(picks) for j, b in enumerate(reference))
    taken: tuple[set[int], set[int]] = (set(), set())
    found = []
    for apart_s, i, j in pairs:
        if apart_s <= tolerance_s and i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            found.append(apart_s)
    return found


def largest_shift(picks: list[Pick], others: list[Pick]) -> float:
    """Samples between picks in the order of time; infinite where they are not the same ones."""
    by_phase = [[[p for p in way if p.phase == phase] for way in (picks, others)] for phase in "PS"]
    if any(len(one) != len(other) for one, other in by_phase):
        return float("inf")
    return max((abs(a.time - b.time) / SAMPLE_S for pair in by_phase for a, b in zip(*pair, strict=True)), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
