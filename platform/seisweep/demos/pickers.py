"""`seisweep demo`: the main job from data to quantized pickers, as the commands that a user would type.

`foreshock.py` plays the other system, `adapt.py` what needs no labels; all are made of `tour.py`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from seisweep.demos.tour import Command, check_files, free_stem, name_option, say
from seisweep.engine.outcome import Outcome
from seisweep.screen.ending import best_files
from seisweep.screen.tables import as_table
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.text import show_value
from trainables import metrics

SUMMARY = (metrics.DEV_F1, metrics.FP32_F1, metrics.INT8_F1, metrics.FP32_BYTES, metrics.INT8_BYTES, metrics.PARAMETERS)


@dataclass(frozen=True)
class Size:
    """How much of everything: enough to see the whole in minutes on two cores, or hardly anything for a test."""

    events: int | None
    teacher: tuple[str, ...]
    student: tuple[str, ...]
    samples: int


FULL = Size(
    events=None,
    teacher=(
        "training.epochs=12",
        "training.batch_size=32",
        "training.learning_rate=0.01",
        "data.dev_windows_per_trace=8",
    ),
    student=(
        "student.base_channels=4,8",
        "student.pooling=4",
        "student.dropout=0",
        "loss.alpha=0.1..0.6",
        "loss.temperature=1..4",
        "training.learning_rate=0.004..0.016",
        "training.batch_size=32",
        "training.epochs=16",
        "training.patience=16",
        "data.dev_windows_per_trace=8",
    ),
    samples=9,
)
TINY = Size(
    events=12,
    teacher=("training.epochs=1", "training.steps_per_epoch=4", "training.batch_size=8"),
    student=(
        "student.base_channels=4",
        "student.pooling=4",
        "student.dropout=0",
        "training.batch_size=8",
        "training.epochs=2",
        "training.steps_per_epoch=4",
        "training.patience=5",
        "data.dev_windows_per_trace=1",
        "export.calibration_windows=16",
    ),
    samples=8,
)


def play(command: Command, home: Home, tiny: bool) -> None:
    """Run every step, printing its command first, and say at the end what there is and what comes next."""
    size = TINY if tiny else FULL
    home.prepare()
    data = home.data_dir / ("local-earthquakes-tiny" if tiny else "local-earthquakes")
    stem = free_stem(home)
    dataset = f"data.dataset={from_here(data)}"
    cores = os.cpu_count() or 1

    if not data.is_dir():
        say("1. Synthetic local earthquakes, in SeisBench's format.")
        events = [] if size.events is None else ["--events", str(size.events)]
        command("data", "synth", from_here(data), *events)

    say("2. A teacher: PhaseNet, trained from scratch on these data, on two cores.")
    fresh = ["model.architecture=phasenet", dataset, *size.teacher, "--cpus", str(min(2, cores))]
    teacher = command("train", "picking", *fresh, *name_option(stem, "teacher"))
    check_files(teacher)

    say("3. The sweep: XiaoNet students learn from the teacher; the weakest are stopped early.")
    common = [dataset, f"teacher.weights={teacher.name}"]
    samples = ["--samples", str(size.samples)]
    sweep = command("run", "distillation", *common, *size.student, *samples, *name_option(stem, "sweep"))
    if sweep.best is None:
        raise RuntimeError("no trial of the sweep finished; the reasons are above")

    say("4. The best one once more, on two Ray Train workers.")
    workers = ["--workers", "2", "--cpus", "1" if cores > 1 else "0.5"]
    note = ["--note", f"loss as in the best trial of {sweep.name}"]
    again = command("train", "distillation", *common, *_best(sweep, size), *workers, *note, *name_option(stem, "best"))
    _close(teacher, sweep, again)


def _best(sweep: Outcome, size: Size) -> list[str]:
    """The sweep's fixed settings and the best trial's own, as words of a command."""
    assert sweep.best is not None
    params = sweep.best.params
    fixed = [word for word in size.student if word.partition("=")[0] not in params]
    return [*fixed, *(f"{key}={show_value(value)}" for key, value in params.items())]


def _files_of(outcome: Outcome) -> Path:
    check_files(outcome)
    folder = best_files(outcome)
    assert folder is not None, f"{outcome.name} is finished and has a best trial"
    return folder


def _close(teacher: Outcome, sweep: Outcome, again: Outcome) -> None:
    """What came out, on standard output; what can be done next."""
    assert sweep.best is not None
    say("Done. Dev F1 is the mean of P and S.")
    rows = [
        {"picker": what, "sweep": outcome.name, **{name: outcome.best.metrics.get(name) for name in SUMMARY}}
        for what, outcome in (("teacher", teacher), ("best student", sweep), ("on two workers", again))
        if outcome.best
    ]
    print(as_table(rows))
    for file in sorted(_files_of(sweep).glob("*.onnx")):
        print(f"{from_here(file)}  {file.stat().st_size} bytes")
    sys.stdout.flush()
    say("Next:")
    for line, why in (
        ("seisweep ui", "every trial, its curves, figures and files, in MLflow"),
        (f"seisweep results {sweep.name} --top 5", "the table again; --format csv for a spreadsheet"),
        (f"seisweep evaluate {sweep.name}", "PyTorch, FP32 and INT8 side by side"),
        (f"seisweep report {sweep.name}", "what was asked and found, as one HTML page"),
        (f"seisweep promote {sweep.name}", "its test scores, once; the model registered, a folder for an edge device"),
        ("seisweep sweeps", "what else can be searched, and what was run"),
        ("seisweep run distillation data.dataset=ETHZ --samples 20", "the same on real data (downloads it)"),
    ):
        print(f"  {line}\n      {why}", file=sys.stderr)
