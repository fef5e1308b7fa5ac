"""`seisweep demo`: the main job from data to quantized pickers, as the commands that a user would type."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisweep.home import Home
from seisweep.watch import Outcome, TrialRow


@dataclass(frozen=True)
class Size:
    """How much of everything: enough to see the whole in minutes on two cores, or hardly anything for a test."""

    events: int | None
    teacher: tuple[str, ...]
    sweep: tuple[str, ...]
    samples: int


FULL = Size(
    events=None,
    teacher=("training.epochs=12", "training.learning_rate=0.003"),
    sweep=(
        "student.base_channels=4,8",
        "student.pooling=4",
        "student.dropout=0",
        "training.batch_size=32",
        "training.epochs=12",
        "training.learning_rate=0.001..0.01",
        "loss.alpha=0.1..0.7",
    ),
    samples=9,
)
TINY = Size(
    events=12,
    teacher=("training.epochs=1", "training.steps_per_epoch=4", "training.batch_size=8"),
    sweep=(
        "student.base_channels=4",
        "student.pooling=4",
        "student.dropout=0",
        "training.batch_size=8",
        "training.epochs=2",
        "training.steps_per_epoch=4",
        "data.dev_windows_per_trace=1",
        "export.calibration_windows=16",
    ),
    samples=8,
)


def play(home: Home, tiny: bool) -> None:
    """Run every step, printing its command first, and say at the end what there is and what comes next."""
    size = TINY if tiny else FULL
    home.prepare()
    data = home.data_dir / ("local-earthquakes-tiny" if tiny else "local-earthquakes")
    stem = _free_stem(home)
    dataset = f"data.dataset={_shown(data)}"

    if not data.is_dir():
        _say("1. Synthetic local earthquakes, in SeisBench's format.")
        events = [] if size.events is None else ["--events", str(size.events)]
        _command("data", "synth", _shown(data), *events)

    _say("2. A teacher: PhaseNet, trained from scratch on these data.")
    teacher = _command(
        "train", "picking", "model.architecture=phasenet", dataset, *size.teacher, *_name(stem, "teacher")
    )
    weights = _teacher_weights(teacher)

    _say("3. The sweep: XiaoNet students learn from it; what falls behind is stopped early.")
    common = [dataset, f"teacher.weights={_shown(weights)}"]
    samples = ["--samples", str(size.samples)]
    sweep = _command("run", "distillation", *common, *size.sweep, *samples, *_name(stem, "sweep"))
    if sweep.best is None:
        raise RuntimeError("no trial of the sweep got to an end; see above why")

    _say("4. The best one once more, on two Ray Train workers.")
    best = _settings_of(sweep.best, size)
    again = _command("train", "distillation", *common, *best, "--workers", "2", *_name(stem, "best"))
    _say_what_there_is(sweep, again, _shown(data))


def _command(*words: str) -> Any:
    """Print a command, then run it exactly as the command line would; its outcome."""
    from seisweep.cli import app

    print(f"\n$ seisweep {shlex.join(words)}", file=sys.stderr, flush=True)
    outcome = app(list(words), prog_name="seisweep", standalone_mode=False)
    if isinstance(outcome, Outcome) and outcome.state == "interrupted":
        raise KeyboardInterrupt
    if isinstance(outcome, Outcome) and outcome.state != "finished":
        raise RuntimeError(f"{outcome.name} {outcome.state}")
    return outcome


def _settings_of(best: TrialRow, size: Size) -> list[str]:
    """The sweep's fixed settings and the best trial's own, as words of a command."""
    fixed = [word for word in size.sweep if word.partition("=")[0] not in best.params]
    return [*fixed, *(f"{key}={_short(value)}" for key, value in best.params.items())]


def _teacher_weights(outcome: Outcome) -> Path:
    """The SeisBench pair that the teacher's run left in the record, named by its stem."""
    from seisweep import results

    folder = results.load(outcome.name, outcome.tracking_uri).artifacts(0)
    pair = next(iter(sorted(folder.rglob("*.json.v*"))))
    return pair.with_name(pair.name.partition(".json")[0])


def _say_what_there_is(sweep: Outcome, again: Outcome, data: str) -> None:
    from seisweep import results

    assert sweep.best is not None
    folder = results.load(sweep.name, sweep.tracking_uri).artifacts(sweep.best.number)
    _say("Done. The best picker, as files:")
    for file in sorted(folder.rglob("*.onnx")):
        print(f"{_shown(file)}  {file.stat().st_size} bytes")
    _say("Next:")
    for command, why in (
        ("seisweep ui", "every trial, its curves, figures and files, in MLflow"),
        (f"seisweep results {sweep.name} --top 5", "the table again; --format csv for a spreadsheet"),
        (f"seisweep evaluate {sweep.name} data.dataset={data}", "FP32, INT8 and PyTorch side by side"),
        ("seisweep sweeps", "what else can be searched"),
        ("seisweep run distillation data.dataset=ETHZ --samples 20", "the same on real data (downloads it)"),
    ):
        print(f"  {command:58}  {why}", file=sys.stderr)


def _free_stem(home: Home) -> str:
    """`demo-1`, or the first number that no part of a demo has used."""
    number = 1
    while any(home.sweep_dir(f"demo-{number}-{part}").exists() for part in ("teacher", "sweep", "best")):
        number += 1
    return f"demo-{number}"


def _name(stem: str, part: str) -> tuple[str, str]:
    return "--name", f"{stem}-{part}"


def _shown(path: Path) -> str:
    """As short as a user would type it from here."""
    inside = path.is_relative_to(Path.cwd())
    return f"./{path.relative_to(Path.cwd())}" if inside else str(path)


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _say(line: str) -> None:
    print(f"\n{line}", file=sys.stderr, flush=True)
