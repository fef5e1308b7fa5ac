"""One student for several networks: small XiaoNets that learn from a teacher on labelled records and on streams, beside
what users know, on the test splits of the records.

Each of STUDENTS is a sweep over seeds, all on the same windows for the same number of steps. When they are done, one
promotion opens the test splits once and scores all of them, and the teacher. The sweeps lie in the home, SEISWEEP_HOME,
and a second call goes on with what is missing. `one_for_all.csv` (`--output`) has the scores on dev,
`one_for_all_test.csv` those on test.

    python benchmarks/one_for_all.py --data FOLDER,FOLDER --streams FOLDER --teacher WEIGHTS [--seeds 5] [--epochs 24]
        [--only 172k,51k] [--output FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "platform")]

import pandas as pd
import seisweep
from growing_table import GrowingTable

from trainables import metrics

STEPS_PER_EPOCH = 250
WIDE = {"student.context": "wide", "student.pooling": 4, "student.dropout": 0.0}
STUDENTS: dict[str, dict[str, Any]] = {
    "172k": WIDE | {"student.base_channels": 14},
    "51k": WIDE | {"student.base_channels": 7},
    "phasenetlight": {"student.architecture": "phasenetlight"},
    "v5b": {"student.architecture": "xiaonetv5b"},
    "document": {"student.base_channels": 16, "student.pooling": 2, "student.dropout": 0.0, "loss.alpha": 0.5},
}
"""The largest XiaoNets whose INT8 files have at most 172,032 and 51,200 bytes, and three to compare with."""
SHOWN = (
    metrics.PARAMETERS,
    metrics.INT8_BYTES,
    metrics.DEV_F1,
    "dev/p_f1",
    "dev/s_f1",
    metrics.FP32_F1,
    metrics.INT8_F1,
)


def trained(student: str, given: argparse.Namespace) -> seisweep.SweepResults:
    """The sweep of a student, whole."""
    name = f"one-{student}"
    try:
        seisweep.load(name)
    except ValueError:  # not begun
        pass
    else:
        return seisweep.resume(name)
    common = {
        "data.dataset": [given.data.split(",")],
        "data.streams": given.streams,
        "teacher.weights": given.teacher,
        "loss.alpha": 1.0,
        "loss.temperature": 3.0,
        "data.rotate_horizontals": True,
        "data.flip_sign": True,
        "training.learning_rate": 3e-3,
        "training.batch_size": 32,
        "training.schedule": "cosine",
        "training.epochs": given.epochs,
        "training.patience": given.epochs,
        "training.steps_per_epoch": STEPS_PER_EPOCH,
    }
    return seisweep.run(
        "distillation",
        name=name,
        note="one student for all",
        settings=common | STUDENTS[student],
        seed=list(range(given.seeds)),
        sampler="grid",
        scheduler="none",
    )


def scores_by_seed(sweep: seisweep.SweepResults) -> dict[int, dict[str, float]]:
    """Of the finished trials."""
    done = sweep.trials[sweep.trials["state"] == "done"]
    return {int(row["seed"]): {name: round(row[name], 4) for name in SHOWN} for row in done.to_dict("records")}


def on_test(student: str, beside: list[str], given: argparse.Namespace) -> pd.DataFrame:
    """All finished trials of all sweeps, and the teacher, in one opening of the test splits."""
    trials = {name: seisweep.load(f"one-{name}").trials for name in [student, *beside]}
    finished = {name: [int(n) for n in table.index[table["state"] == "done"]] for name, table in trials.items()}
    others = [f"one-{name}/{number}" for name in beside for number in finished[name]]
    command = [sys.executable, "-m", "seisweep.cli", "promote", f"one-{student}", "--format", "csv"]
    command += ["--trials", ",".join(map(str, finished[student])), "--beside", ",".join([*others, given.teacher])]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return pd.read_csv(StringIO(printed)).round(4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="one folder or several, commas between")
    parser.add_argument("--streams", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--only", default=",".join(STUDENTS), help="some students; the first is promoted")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    students = given.only.split(",")
    done = GrowingTable(given.output, ["student", "seed", "steps"])
    steps = given.epochs * STEPS_PER_EPOCH
    for student in students:
        for seed, scores in scores_by_seed(trained(student, given)).items():
            if not done.has(student, seed, steps):
                done.add((student, seed, steps), scores)
    table = on_test(students[0], students[1:], given)
    table.to_csv(given.output.with_stem(f"{given.output.stem}_test"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
