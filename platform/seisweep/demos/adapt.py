"""`seisweep demo adapt`: a picker for a network that nobody has labelled, as the commands that a user would type."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from seisweep.demos.pickers import FULL as PICKERS
from seisweep.demos.pickers import TINY as TINY_PICKERS
from seisweep.demos.tour import Command, check_files, free_stem, name_option, say
from seisweep.engine.outcome import Outcome
from seisweep.screen.ending import best_files
from seisweep.screen.tables import as_table
from seisweep.settings.home import Home
from seisweep.settings.paths import from_here
from seisweep.statistics import certainty
from trainables import metrics

AGREEMENT = [metrics.picking(metrics.AGREEMENT, phase, "f1") for phase in (None, "P", "S")]
SUMMARY = (*AGREEMENT, metrics.INT8_BYTES, metrics.PARAMETERS)


@dataclass(frozen=True)
class Size:
    """How much of everything: enough to see the whole in minutes on two cores, or hardly anything for a test."""

    events: tuple[str, ...]
    hours: tuple[str, ...]
    teacher: tuple[str, ...]
    training: tuple[str, ...]
    """Of both students."""
    samples: int


FULL = Size(
    events=(),
    hours=("--hours", "2"),
    teacher=PICKERS.teacher,
    training=("training.epochs=8", "training.steps_per_epoch=50", "training.batch_size=32", "training.patience=8"),
    samples=2,
)
TINY = Size(
    events=("--events", "12"),
    hours=("--hours", "1"),
    teacher=TINY_PICKERS.teacher,
    training=(
        "training.epochs=1",
        "training.steps_per_epoch=2",
        "training.batch_size=8",
        "data.dev_windows_per_trace=1",
        "export.calibration_windows=16",
    ),
    samples=1,
)


def play(command: Command, home: Home, tiny: bool) -> None:
    """Run every step, printing its command first, and say at the end what there is and what comes next."""
    size, suffix = (TINY, "-tiny") if tiny else (FULL, "")
    home.prepare()
    stem = free_stem(home)
    data, streams = (home.data_dir / f"{name}{suffix}" for name in ("local-earthquakes", "streams-synthetic"))
    cores = str(min(2, os.cpu_count() or 1))

    if not data.is_dir():
        say("1. Labelled earthquakes of one synthetic network, for a teacher to learn from.")
        command("data", "synth", from_here(data), *size.events)
    if not streams.is_dir():
        say("2. Continuous waveforms of another network, as MiniSEED. Nobody has labelled them.")
        command("data", "synth", "streams", from_here(streams), *size.hours)

    say("3. The teacher: PhaseNet, trained on the labelled network.")
    dataset = f"data.dataset={from_here(data)}"
    fresh = ["model.architecture=phasenet", dataset, *size.teacher, "--cpus", cores]
    teacher = command("train", "picking", *fresh, *name_option(stem, "teacher"))
    check_files(teacher)

    say("4. Before: a student trained on the labelled network only (the share of the streams is 0).")
    common = [f"data.streams={from_here(streams)}", f"teacher.weights={teacher.name}"]
    student = ["student.base_channels=8", "student.pooling=4", "training.learning_rate=0.004"]
    words = [dataset, "data.streams_share=0", *common, *student, *size.training, "--cpus", cores]
    before = command("train", "distillation", *words, *name_option(stem, "before"))

    say("5. After: students trained on the other network, from the teacher alone.")
    samples = ["--samples", str(size.samples)]
    after = command("run", "adaptation", *common, *size.training, *samples, *name_option(stem, "adaptation"))
    _close(before, after, streams)


def _close(before: Outcome, after: Outcome, streams: Path) -> None:
    """What came out, on standard output; what can be done next."""
    if before.best is None or after.best is None:
        raise RuntimeError("no student finished; the reasons are above")
    say("Done. Agreement with the teacher's picks on hours of the other network that no student has learned from:")
    rows = []
    for what, outcome in (("before", before), ("after", after)):
        assert outcome.best is not None
        found = outcome.best.metrics
        row = {"student": what, "sweep": outcome.name, **{name: found.get(name) for name in SUMMARY}}
        rows.append(certainty.with_intervals(row, found, AGREEMENT[:1]))
    print(as_table(rows))
    for file in sorted((best_files(after) or Path()).glob("*.onnx")):
        print(f"{from_here(file)}  {file.stat().st_size} bytes")
    sys.stdout.flush()
    print(
        "the teacher's picks are not the truth: docs/tutorials/adapting-to-a-network.md says what these numbers mean",
        file=sys.stderr,
    )
    say("Next:")
    for line, why in (
        (
            f"seisweep pick {after.name} {from_here(streams)} --output picks.csv",
            "its picks, by the INT8 file where the gate accepts it",
        ),
        (
            f"seisweep promote {after.name}",
            "hours and stations that nothing was chosen on; a folder for an edge device",
        ),
        (f"seisweep report {after.name}", "what was asked and found, as one HTML page"),
        ("seisweep ui", "every trial, its curves, figures and files, in MLflow"),
        ("seisweep run adaptation teacher.weights=stead data.streams=FOLDER", "the same on your own waveforms"),
    ):
        print(f"  {line}\n      {why}", file=sys.stderr)
